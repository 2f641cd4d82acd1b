"""Where a chunked response may be ended early, and where not."""

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
def test_a_response_may_end_between_chunks_however_it_is_split(whole: bytes) -> None:
    assert fed(whole).may_end
    assert fed(*(whole[at : at + 1] for at in range(len(whole)))).may_end


def test_a_response_may_not_end_within_a_chunk() -> None:
    whole = HEAD + CHUNK + BREAKS
    boundaries = {len(HEAD), len(HEAD + CHUNK), len(whole)}
    assert {at for at in range(len(whole) + 1) if fed(whole[:at]).may_end} == boundaries


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + CHUNK + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n2\r\n\r\n",
        b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n5\r\nhello\r\n",
        HEAD + b"no number\r\n",
    ],
)
def test_a_finished_or_unchunked_response_may_not_be_ended(answer: bytes) -> None:
    assert not fed(answer).may_end


@pytest.mark.parametrize("size", [b"-5", b"+5", b"1_0", b"0x5", b" 5", b"f" * 16, b""])
def test_an_invalid_chunk_size_is_rejected(size: bytes) -> None:
    assert not fed(HEAD + size + b"\r\n" + CHUNK[3:]).may_end


@pytest.mark.parametrize("before", [b"", HEAD])
def test_an_endless_line_is_not_buffered(before: bytes) -> None:
    made = fed(before, *[b"5" * HEAD_LIMIT] * 3)
    assert not made._line
    assert not made.may_end
