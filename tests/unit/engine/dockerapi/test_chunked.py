"""That an answer in chunks is ended where it can be, and nowhere else."""

import pytest

from engine.dockerapi.chunked import Chunks
from engine.dockerapi.http import HEAD_LIMIT

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"5\r\n{...}\r\n"
BREAKS = b"8;name=value\r\n1\r\n\r\n2\r\n\r\n"  # content that looks like chunks


def fed(*pieces: bytes) -> Chunks:
    made = Chunks()
    for piece in pieces:
        made.feed(piece)
    return made


@pytest.mark.parametrize("whole", [HEAD, HEAD + CHUNK, HEAD + CHUNK + BREAKS])
def test_between_two_chunks_it_may_end_however_it_comes(whole: bytes) -> None:
    assert fed(whole).may_end
    assert fed(*(whole[at : at + 1] for at in range(len(whole)))).may_end


def test_within_one_it_may_not() -> None:
    whole = HEAD + CHUNK + BREAKS
    good = {len(HEAD), len(HEAD + CHUNK), len(whole)}
    assert {at for at in range(len(whole) + 1) if fed(whole[:at]).may_end} == good


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + CHUNK + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n2\r\n\r\n",
        b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n5\r\nhello\r\n",
        HEAD + b"no number\r\n",
    ],
)
def test_what_has_ended_or_is_none_may_not(answer: bytes) -> None:
    assert not fed(answer).may_end


@pytest.mark.parametrize("size", [b"-5", b"+5", b"1_0", b"0x5", b" 5", b"f" * 16, b""])
def test_what_is_no_size_is_not_understood(size: bytes) -> None:
    assert not fed(HEAD + size + b"\r\n" + CHUNK[3:]).may_end


@pytest.mark.parametrize("before", [b"", HEAD])
def test_a_line_without_an_end_is_not_kept(before: bytes) -> None:
    made = fed(before, *[b"5" * HEAD_LIMIT] * 3)
    assert not made._line
    assert not made.may_end
