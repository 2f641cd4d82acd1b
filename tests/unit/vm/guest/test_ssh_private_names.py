"""What `vm/guest/ssh.py` needs of paramiko beyond its public interface.

If a test fails after an upgrade of paramiko, read the new code around the name, then change
`vm/guest/ssh.py` or `vm/guest/ssh_wire.py`, then the test.
"""

import inspect
import re
import socket
from collections.abc import Iterator
from types import ModuleType

import paramiko
import paramiko.channel
import paramiko.packet
import paramiko.transport
import pytest

from vm.guest import ssh
from vm.guest.ssh_wire import Inbox, Wire


@pytest.fixture
def transport() -> Iterator[paramiko.Transport]:
    ours, theirs = socket.socketpair()
    made = paramiko.Transport(ours)
    yield made
    made.sock.close()
    theirs.close()


def used(module: ModuleType, pattern: str) -> set[str]:
    """The names that paramiko's source uses on an object of ours."""
    found = set(re.findall(pattern, inspect.getsource(module)))
    assert found, f"paramiko names it differently now: {pattern}"
    return found


@pytest.mark.parametrize("name", ssh._Transport.__annotations__)
def test_transport_has(transport: paramiko.Transport, name: str) -> None:
    assert hasattr(transport, name)


@pytest.mark.parametrize("name", ["channel_events", "channels_seen", "lock", "packetizer"])
def test_transport_has_undocumented(transport: paramiko.Transport, name: str) -> None:
    assert hasattr(transport, name)


@pytest.mark.parametrize(
    "name",
    [*ssh._Channel.__annotations__, "eof_received", "in_buffer", "in_stderr_buffer", "active"],
)
def test_channel_has(name: str) -> None:
    assert hasattr(paramiko.Channel(0), name)


def test_channels_can_be_put_and_got(transport: paramiko.Transport) -> None:
    channel = paramiko.Channel(7)
    getattr(transport, "_channels").put(7, channel)  # noqa: B009 (mypy: not in the stubs)
    assert getattr(transport, "_channels").get(7) is channel  # noqa: B009


def test_inbox_has_what_paramiko_calls_on_a_channels_buffers() -> None:
    called = used(paramiko.channel, r"self\.in_(?:stderr_)?buffer\.(\w+)\(")
    # Only reached through fileno, recv_ready, recv_stderr_ready and set_combine_stderr.
    assert called - {"set_event", "read_ready", "empty"} == {"feed", "read", "close"}
    assert {"feed", "read", "close"} <= set(dir(Inbox))


def test_wire_has_what_paramiko_calls_on_a_socket() -> None:
    called = used(paramiko.packet, r"self\.__socket\.(\w+)")
    called |= used(paramiko.transport, r"self\.sock\.(\w+)")
    # `getpeername` is used only by paramiko.Transport.getpeername, which guards it.
    ours, theirs = socket.socketpair()
    with theirs:
        wire = Wire(ours)
        missing = {name for name in called - {"getpeername"} if not hasattr(wire, name)}
        wire.close()
    assert not missing


def test_open_channel_makes_the_calls_that_we_copy() -> None:
    """`_Connection._open` copies this function for another kind of channel; compare them."""
    source = inspect.getsource(paramiko.Transport.open_channel)
    calls = re.findall(r"(?:self|chan|m)\.(?:\w+\.)?(_?\w+)\(", source)
    ours = ["_next_channel", "put", "_set_transport", "_set_window", "_send_user_message"]
    assert [name for name in calls if name in ours] == ours
    assert source.count("m.add_") == 5 + 4 + 2
    assert "self.channel_events[chanid]" in source
    assert "self.channels_seen[chanid]" in source


def test_rekey_limits_are_the_attributes_that_we_raise() -> None:
    for name in ("REKEY_BYTES", "REKEY_PACKETS"):
        assert getattr(paramiko.packet.Packetizer, name) == 2**29


def test_channels_seen_is_only_set_and_looked_up() -> None:
    assert used(paramiko.transport, r"(.*channels_seen.*)") == {
        "        self.channels_seen = {}  # (id -> True)",
        "            self.channels_seen[chanid] = True",
        "                        elif chanid in self.channels_seen:",
        "            self.channels_seen[my_chanid] = True",
    }
