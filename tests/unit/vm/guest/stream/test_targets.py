"""Targets of a channel, opened by the guest's real program; and what it refuses."""

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.background import Background
from tests.unit.engine.bridge.servers import wait_until
from tests.unit.vm.guest.stream.port import Machine
from vm.guest.stream import targets
from vm.guest.stream.channel import Channel
from vm.guest.stream.datagrams import LONGEST, DatagramChannel
from vm.guest.stream.frames import LARGEST, NUMBER, WINDOW, Kind
from vm.guest.stream.session import AgentStream
from vm.host.net import free_port

pytestmark = pytest.mark.timeout(30)  # a fault of the stream is a test that hangs


@pytest.fixture
def stream(machine: Machine) -> Iterator[AgentStream]:
    made = AgentStream(machine.connect, 10)
    yield made
    Background().submit(made.close).result()


def echo_once(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"".join(iter(lambda: connection.recv(65536), b"")))


def read_all(channel: Channel) -> bytes:
    return b"".join(iter(lambda: channel.recv(65536), b""))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_tcp_with_a_half_close(stream: AgentStream, address: str) -> None:
    with socket.create_server((address, 0), family=_family(address)) as listening:
        threading.Thread(target=echo_once, args=(listening,), daemon=True).start()
        channel = stream.open(targets.tcp(address, listening.getsockname()[1]))
        with Background() as pool:
            back = pool.submit(read_all, channel)
            data = bytes(range(256)) * (3 * WINDOW // 256)
            channel.sendall(data)
            channel.shutdown_write()
            assert back.result() == data
        channel.close()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("", errno.EPROTONOSUPPORT),
        ("sctp 127.0.0.1 53", errno.EPROTONOSUPPORT),
        ("ssh", errno.EPROTONOSUPPORT),  # this agent was started without an sshd
        ("tcp localhost 80", errno.EINVAL),
        ("tcp 127.0.0.1", errno.EINVAL),
        ("tcp 127.0.0.1 0", errno.EINVAL),
        ("tcp 127.0.0.1 -1", errno.EINVAL),
        ("tcp 127.0.0.1 65536", errno.EINVAL),
        ("tcp 127.0.0.1 80 ", errno.EINVAL),
        ("udp localhost 53", errno.EINVAL),
        ("udp 127.0.0.1", errno.EINVAL),
        ("tcp " + "1" * 124, errno.ENAMETOOLONG),
        ("/" + "x" * 120, errno.ENAMETOOLONG),
    ],
)
def test_a_target_that_is_refused(stream: AgentStream, target: str, reason: int) -> None:
    with pytest.raises(ConnectionRefusedError) as refused:
        stream.open(target)
    assert refused.value.errno == reason
    assert stream.alive


def test_a_tcp_port_on_which_nothing_listens(stream: AgentStream) -> None:
    with pytest.raises(ConnectionRefusedError) as refused:
        stream.open(targets.tcp("127.0.0.1", free_port()))
    assert refused.value.errno == errno.ECONNREFUSED


def echo_datagrams(bound: socket.socket) -> None:
    """Until it is closed."""
    with contextlib.suppress(OSError):
        while True:
            data, client = bound.recvfrom(LONGEST)
            bound.sendto(data, client)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_datagrams_keep_their_boundaries(stream: AgentStream, address: str) -> None:
    sizes = (0, 1, 2, LARGEST - 2, LARGEST, LARGEST + 1, LONGEST)
    with socket.socket(_family(address), socket.SOCK_DGRAM) as bound:
        bound.bind((address, 0))
        threading.Thread(target=echo_datagrams, args=(bound,), daemon=True).start()
        channel = DatagramChannel(stream.open(targets.udp(address, bound.getsockname()[1])))
        with Background() as pool:
            for _ in range(8):  # many windows
                for size in sizes:
                    data = bytes(number % 251 for number in range(size))
                    channel.send(data)
                    assert pool.submit(channel.recv).result() == data
        with pytest.raises(ValueError, match="datagram"):
            channel.send(bytes(LONGEST + 1))
        channel.close()


def test_datagrams_to_a_port_that_is_bound_later(stream: AgentStream) -> None:
    """ICMP reports the first ones as refused, which ends nothing."""
    port = free_port()
    opened = stream.open(targets.udp("127.0.0.1", port))
    channel = DatagramChannel(opened)
    for _ in range(3):
        channel.send(b"lost")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", port))
        bound.settimeout(0.1)
        data, client = b"lost", ("", 0)
        while data == b"lost":
            channel.send(b"arrives")
            with contextlib.suppress(TimeoutError):
                data, client = bound.recvfrom(100)
        bound.sendto(b"back", client)
        assert Background().submit(channel.recv).result() == b"back"
    opened.shutdown_write()
    assert Background().submit(channel.recv).result() is None, "the agent ends the channel"


def test_datagrams_that_arrive_while_nothing_reads_are_bounded(stream: AgentStream) -> None:
    """The guest's socket drops them; another channel goes on."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        bound.bind(("127.0.0.1", 0))
        channel = stream.open(targets.udp("127.0.0.1", bound.getsockname()[1]))
        DatagramChannel(channel).send(b"")
        client = bound.recvfrom(1)[1]
        for _ in range(200):
            bound.sendto(bytes(LARGEST), client)
        threading.Thread(target=echo_once, args=(listening,), daemon=True).start()
        other = stream.open(targets.tcp("127.0.0.1", listening.getsockname()[1]))
        other.sendall(b"still")
        other.shutdown_write()
        assert Background().submit(read_all, other).result() == b"still"
        assert sum(map(len, channel._blocks)) <= WINDOW


@pytest.mark.parametrize(("address", "port"), [("localhost", 80), ("127.0.0.1", 0), ("::1", 65536)])
def test_a_tcp_target_that_is_none(address: str, port: int) -> None:
    for target in (targets.tcp, targets.udp):
        with pytest.raises(ValueError, match=r"port|address"):
            target(address, port)


def test_the_agent_tells_its_version(stream: AgentStream) -> None:
    wait_until(lambda: stream.version == 2)


@pytest.mark.parametrize(
    ("number", "kind", "data"),
    [
        (1, Kind.DATA, b""),
        (1, Kind.CREDIT, NUMBER.pack(1)),
        (1, Kind.CREDIT, bytes(2)),
        (1, Kind.OPEN, b"/run/other.sock"),
        (0, Kind.OPEN, b"/run/other.sock"),
    ],
)
def test_a_host_that_breaks_the_protocol_loses_the_session(
    stream: AgentStream, number: int, kind: Kind, data: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        channel = stream.open(targets.tcp("127.0.0.1", listening.getsockname()[1]))
        assert channel._number == 1
        stream.send(number, kind, data)
        wait_until(lambda: not stream.alive)
        assert stream.barred_until == 0, "the agent ended it"


def test_a_host_that_sends_after_its_end_loses_the_session(stream: AgentStream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        channel = stream.open(targets.tcp("127.0.0.1", listening.getsockname()[1]))
        channel.sendall(bytes(3))
        stream.send(channel._number, Kind.END)
        stream.send(channel._number, Kind.DATA, bytes(LARGEST))
        wait_until(lambda: not stream.alive)
