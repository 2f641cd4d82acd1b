"""Frames of the agent stream as bytes.

A frame is four little-endian 32-bit numbers (session, channel, kind, length), at most LARGEST
bytes of data, and the session again. A session begins with HELLO, MAGIC and 16 random bytes of
which the first four are the session, after as many zeros as the largest frame has; the guest
answers with the same 24 bytes. So each side finds the beginning, whatever was under way when the
other was killed, and half a frame is never passed on.

The guest is not trusted: data that its agent never sends raises ProtocolViolation. The guest's end
is `engine/guest/files/source/relay.c`. Next: `channel.py`, `session.py`.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum

LARGEST = 32 * 1024  # bytes of data in one frame
WINDOW = 256 * 1024  # bytes under way in one direction of a channel
HEAD, NUMBER = struct.Struct("<4I"), struct.Struct("<I")
MAGIC = b"GalleyR1"
ZEROS = bytes(HEAD.size + LARGEST + NUMBER.size)
VERSION = 2  # of the agent in the guest image; `relay.c` has the same
HIGHEST_ERRNO = 4095  # of Linux


class Kind(IntEnum):
    OPEN = 1  # from the host, with the target
    OPENED = 2
    REFUSED = 3  # with the guest's errno
    DATA = 4
    END = 5  # this side sends nothing more
    CLOSE = 6  # this side has forgotten the channel
    CREDIT = 7  # so many more bytes may be sent
    HELLO = 8  # from the guest, on channel 0: the version of its agent
    MESSAGES = 9  # from the guest, on channel 0: boot messages, the last ones again after HELLO


class ProtocolViolation(ConnectionError):
    """The guest sent what its agent never sends."""


def packed(session: int, number: int, kind: Kind, data: bytes | memoryview) -> bytes:
    return b"".join((HEAD.pack(session, number, kind, len(data)), data, NUMBER.pack(session)))


def frames(buffer: bytearray, session: int) -> Iterator[tuple[int, int, memoryview]]:
    """Take the whole frames out of `buffer`; yields channel, kind and data of each.

    Raises ConnectionError for a frame of another session: the guest's agent was started again.
    """
    at = 0
    with memoryview(buffer) as view:
        while len(view) - at >= HEAD.size:
            its_session, number, kind, length = HEAD.unpack_from(view, at)
            end = at + HEAD.size + length
            if its_session != session or length > LARGEST:
                raise _out_of_step()
            if end + NUMBER.size > len(view):
                break
            if NUMBER.unpack_from(view, end)[0] != session:
                raise _out_of_step()
            with view[at + HEAD.size : end] as data:
                yield number, kind, data
            at = end + NUMBER.size
    del buffer[:at]


def number_in(data: memoryview) -> int:
    """The number that CREDIT and REFUSED carry. Raises ProtocolViolation."""
    if len(data) != NUMBER.size:
        raise ProtocolViolation("a frame has no number where one belongs")
    number: int = NUMBER.unpack(data)[0]
    return number


def connection_lost() -> ConnectionResetError:
    return ConnectionResetError("the connection to the virtual machine was lost")


def _out_of_step() -> ConnectionError:
    return ConnectionResetError("a frame is not of this session")
