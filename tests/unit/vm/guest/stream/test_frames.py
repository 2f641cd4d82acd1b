"""Frames of the agent stream as bytes, written out as the protocol has them."""

import struct

import pytest

from vm.guest.stream.frames import (
    LARGEST,
    MAGIC,
    ZEROS,
    Kind,
    ProtocolViolation,
    frames,
    number_in,
    packed,
)

SESSION = 0x04030201
CREDIT = b"\1\2\3\4" + b"\7\0\0\0" + b"\7\0\0\0" + b"\2\0\0\0" + b"ab" + b"\1\2\3\4"


def taken(data: bytes, session: int = SESSION) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """The whole frames of `data`, and what is left."""
    buffer = bytearray(data)
    found = [(number, kind, bytes(each)) for number, kind, each in frames(buffer, session)]
    return found, bytes(buffer)


def test_the_numbers_of_the_protocol() -> None:
    assert [(kind.name, kind.value) for kind in Kind] == [
        ("OPEN", 1),
        ("OPENED", 2),
        ("REFUSED", 3),
        ("DATA", 4),
        ("END", 5),
        ("CLOSE", 6),
        ("CREDIT", 7),
        ("HELLO", 8),
        ("MESSAGES", 9),
    ]
    assert MAGIC == b"GalleyR1"
    assert bytes(16 + 32768 + 4) == ZEROS, "as many zeros as the largest frame has bytes"


def test_a_frame_is_packed_and_found() -> None:
    assert packed(SESSION, 7, Kind.CREDIT, b"ab") == CREDIT
    assert taken(CREDIT) == ([(7, 7, b"ab")], b"")


def test_frames_without_data_and_with_the_most() -> None:
    least, most = packed(SESSION, 1, Kind.END, b""), packed(SESSION, 2, Kind.DATA, bytes(LARGEST))
    assert len(least) == 20
    assert taken(least + most + least) == (
        [(1, 5, b""), (2, 4, bytes(LARGEST)), (1, 5, b"")],
        b"",
    )


@pytest.mark.parametrize("length", range(1, len(CREDIT)))
def test_a_part_of_a_frame_is_left_for_later(length: int) -> None:
    assert taken(CREDIT + CREDIT[:length]) == ([(7, 7, b"ab")], CREDIT[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"\0" + CREDIT[1:],  # begins with another session
        CREDIT[:-1] + b"\0",  # ends with another session
        struct.pack("<4I", SESSION, 1, Kind.DATA, LARGEST + 1),  # too long, by its head alone
        struct.pack("<4I", SESSION + 1, 1, Kind.DATA, 2),
        bytes(16),
    ],
)
def test_what_is_no_frame_of_this_session(data: bytes) -> None:
    with pytest.raises(ConnectionResetError):
        taken(data)


@pytest.mark.parametrize("data", [b"", b"\1\0\0", b"\1\0\0\0\0"])
def test_a_number_that_is_none(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        number_in(memoryview(data))


def test_a_number() -> None:
    assert number_in(memoryview(b"\1\2\0\0")) == 0x201
