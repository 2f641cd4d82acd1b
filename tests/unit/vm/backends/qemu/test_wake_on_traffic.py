"""Which frames of QEMU's mirror count as traffic."""

import socket
import struct

import pytest

from vm.backends.qemu.wake_on_traffic import _wait_for_any_frame

ADDRESSES = b"\x52\x54\x00\x12\x34\x56" + b"\x52\x55\x0a\x00\x02\x02"
IPV4, ARP, IPV6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"


def frame(kind: bytes) -> bytes:
    whole = ADDRESSES + kind + bytes(46)
    return struct.pack("!I", len(whole)) + whole


def is_traffic(sent: bytes) -> bool:
    ours, qemus = socket.socketpair()
    with ours:
        with qemus:
            qemus.sendall(sent)
        return _wait_for_any_frame(ours)


@pytest.mark.parametrize("kind", [IPV4, ARP])
def test_a_frame_for_the_guest_is_traffic(kind: bytes) -> None:
    assert is_traffic(frame(kind))
    assert is_traffic(frame(IPV6) * 3 + frame(kind))


@pytest.mark.parametrize("sent", [b"", frame(IPV6), frame(IPV6) + b"\0\0", frame(IPV6)[:20]])
def test_frames_of_qemus_own_network_are_no_traffic(sent: bytes) -> None:
    assert not is_traffic(sent)


def test_half_a_frame_is_no_traffic() -> None:
    assert not is_traffic(frame(IPV4)[:10])
