"""One kept-alive ssh connection to the guest: commands, files, terminals, and sockets by fallback.

    SshGuest      runs, reads, writes, dials; its one connection is kept by `ssh_kept.py`
    _Connection   one authenticated transport to the pinned host; opens channels

The connection goes over a channel of the agent stream where there is one, else over the forwarded
port: `ssh_channel.py`, `ssh_wire.py`. Its channels are in `ssh_session.py`.

paramiko has no public call for `direct-streamlocal@openssh.com` (OpenSSH PROTOCOL 2.4): that
channel is opened by hand in `_Connection._open`, with the private names declared in `_Transport`
and `_Channel`. `tests/unit/vm/guest/test_ssh_private_names.py` fails when they change.
"""

import contextlib
import logging
import shlex
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, cast

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN
from paramiko.packet import Packetizer
from paramiko.transport import ChannelMap

from vm.errors import GuestChanged, GuestUnreachable, MachineError
from vm.guest.protocol import Size
from vm.guest.ssh_channel import ChannelWire, TimedStream
from vm.guest.ssh_kept import PATIENCE, Kept, Lost, unreachable
from vm.guest.ssh_keys import make_key, pinned_key, public_blob
from vm.guest.ssh_session import SshSession, SshStream
from vm.guest.ssh_wire import Inbox, Wire
from vm.host.process import Completed, TimedOut
from vm.messages.guest import (
    GUEST_CANNOT_READ,
    GUEST_CANNOT_WRITE,
    GUEST_COMMAND_NOT_STARTED,
    GUEST_HOST_KEY,
    GUEST_KEY_REFUSED,
    GUEST_LOST_COMMAND,
    GUEST_OUTPUT_TOO_LONG,
)
from vm.messages.host import COMMAND_TIMED_OUT
from vm.types import Address

USER = "root"
WINDOW = 4 * 1024 * 1024  # more does not carry more; it is also what a slow reader makes us hold
PACKET = 128 * 1024  # what we let the guest send at once; OpenSSH lets us send 32 KiB
CIPHERS = ("aes128-gcm@openssh.com", "aes128-ctr")
SILENCE = 1.5  # seconds without a word while we wait for an answer: try another connection
OPEN_LIMIT = 20.0
LONGEST_PACKET = 2 * PACKET  # sshd's own limit; paramiko has none
CHANNEL_BACKOFF = 10.0  # seconds after a login by the agent stream that failed
OUTPUT_LIMIT = 64 * 1024 * 1024  # bytes that a command may say

OpenChannel = Callable[[], TimedStream | None]  # to an sshd of its own; None where there is none

log = logging.getLogger(__name__)

__all__ = ["SshGuest", "SshSession", "SshStream", "make_key", "public_blob"]

# Whatever goes wrong is raised to the caller; paramiko would also print every refused channel.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class _Packetizer(Packetizer):
    """Never asks for new keys by itself: sshd does, in time for the cipher (64 GiB).

    When paramiko asks, and a channel is closed by the guest before the guest has agreed, paramiko's
    only reading thread waits 30 s for itself (Channel._handle_close → Transport._send_user_message)
    and the connection is lost.
    """

    REKEY_BYTES = 2**40
    REKEY_PACKETS = 2**40

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """paramiko accepts any packet length that the guest sends."""
        if n > LONGEST_PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes")
        return super().read_all(n, check_rekey)


class _AllSeen(dict[int, bool]):
    """paramiko remembers the number of every channel that ever existed; this claims all of them."""

    def __setitem__(self, number: int, seen: bool) -> None: ...

    def __contains__(self, number: object) -> bool:
        return True


class _Transport(paramiko.Transport):
    """Declares the private names of paramiko's Transport that are used here."""

    _next_channel: Callable[[], int]
    _channels: ChannelMap
    _send_user_message: Callable[[paramiko.Message], None]


class _Channel(paramiko.Channel):
    """Declares the private names of paramiko's Channel that are used here."""

    _set_transport: Callable[[paramiko.Transport], None]
    _set_window: Callable[[int, int], None]


class _Connection:
    """One authenticated transport to the pinned host."""

    def __init__(self, wire: Wire | ChannelWire, key: Path, known_host: Path, until: float) -> None:
        """Raises OSError, GuestChanged, GuestUnreachable; about `until` (`time.monotonic`)."""
        self._wire = wire
        self._transport = _Transport(
            cast(socket.socket, self._wire),
            default_window_size=WINDOW,
            default_max_packet_size=PACKET,
            packetizer_class=_Packetizer,
        )
        try:
            self._log_in(key, pinned_key(known_host), until)
        except paramiko.AuthenticationException as error:
            # paramiko says the same of a guest that is too slow, or has hung up.
            if self._transport.is_active() and time.monotonic() < until:
                raise unreachable(GUEST_KEY_REFUSED) from error
            raise ConnectionError(str(error)) from error
        except (EOFError, paramiko.SSHException) as error:
            raise ConnectionError(str(error) or "it hung up") from error
        finally:
            if not self._transport.is_authenticated():
                self.close()

    def _log_in(self, key: Path, pinned: str, until: float) -> None:
        transport = self._transport
        transport.name = "galley-ssh"
        transport.channels_seen = _AllSeen()
        options = transport.get_security_options()
        options.ciphers = CIPHERS
        options.key_types = ("ssh-ed25519",)
        options.kex = ("curve25519-sha256@libssh.org",)
        left = max(0.1, until - time.monotonic())
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = left
        transport.start_client(timeout=left)
        shown = transport.get_remote_server_key()
        if f"{shown.get_name()} {shown.get_base64()}" != pinned:
            raise GuestChanged(
                GUEST_HOST_KEY,
                details=f"expected {pinned}\nshown    {shown.get_name()} {shown.get_base64()}",
            )
        transport.auth_publickey(USER, paramiko.Ed25519Key.from_private_key_file(str(key)))
        # paramiko would wake up ten times a second, to see whether it was closed meanwhile;
        # `Wire.close` ends its blocking instead.
        self._wire.wait_for_all()

    @property
    def alive(self) -> bool:
        return self._transport.is_active()

    @property
    def heard(self) -> float:
        return self._wire.heard

    def dial(self, socket_path: str) -> SshStream:
        """Raises ConnectionRefusedError, Lost."""
        tail = paramiko.Message()
        tail.add_string(socket_path)
        tail.add_string("")  # reserved
        tail.add_int(0)  # reserved
        return SshStream(self._open("direct-streamlocal@openssh.com", tail.asbytes()))

    def session(self) -> paramiko.Channel:
        return self._open("session", b"")

    def _open(self, kind: str, tail: bytes) -> paramiko.Channel:
        """Transport.open_channel for a channel type that paramiko does not know."""
        channel, opened = self._announce()
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_OPEN)
        message.add_string(kind)
        message.add_int(channel.chanid)
        message.add_int(WINDOW)
        message.add_int(PACKET)
        message.add_bytes(tail)
        try:
            self._transport._send_user_message(message)
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise Lost from error
        self._await(opened)
        if not channel.active:
            raise ConnectionRefusedError(f"the virtual machine refused a {kind} channel")
        # paramiko leaves 64 bytes of the guest's 32 KiB unused (Channel._wait_for_send_window);
        # docker writes 32 KiB at once, and each such write would become two packets.
        channel.out_max_packet_size += 64
        return channel

    def _announce(self) -> tuple[paramiko.Channel, threading.Event]:
        transport, opened = self._transport, threading.Event()
        with transport.lock:
            number = transport._next_channel()
            channel = _Channel(number)
            channel.in_buffer = cast(Any, Inbox(WINDOW))
            channel.in_stderr_buffer = cast(Any, Inbox(WINDOW))
            transport._channels.put(number, channel)
            # A new dict each time: a dying transport runs through it without taking the lock.
            transport.channel_events = {**transport.channel_events, number: opened}
            channel._set_transport(transport)
            channel._set_window(WINDOW, PACKET)
        return channel, opened

    def _await(self, opened: threading.Event) -> None:
        started = time.monotonic()
        while not opened.wait(0.1):
            now = time.monotonic()
            silent = now - max(started, self._wire.heard) > SILENCE
            if silent or now - started > OPEN_LIMIT or not self.alive:
                raise Lost
        if not self.alive:
            raise Lost

    def close(self) -> None:
        self._transport.close()
        self._wire.close()


def _dial_tcp(address: Address, limit: float) -> Wire:
    """Raises OSError."""
    plain = socket.create_connection((address.host, address.port), timeout=limit)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The host's end of a virtual switch (Hyper-V, WSL) may vanish without a word.
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return Wire(plain)


class SshGuest:
    """`vm.guest.protocol.Guest` over one connection. For any thread."""

    def __init__(
        self,
        address: Address,
        key: Path,
        known_host: Path,
        patience: float = PATIENCE,
        open_channel: OpenChannel | None = None,
    ) -> None:
        """`patience`: see `ssh_kept.Kept`. `open_channel`: a way that is tried before `address`."""
        self._address = address
        self._key = key
        self._known_host = known_host
        self._open_channel = open_channel
        self._channel_barred_until = 0.0  # `time.monotonic`
        self._kept = Kept(self._connect, patience)

    def _connect(self, limit: float) -> _Connection:
        until = time.monotonic() + limit
        by_channel = self._connect_by_channel(time.monotonic() + limit / 2)
        if by_channel is not None:
            return by_channel
        wire = _dial_tcp(self._address, max(0.1, until - time.monotonic()))
        return _Connection(wire, self._key, self._known_host, until)

    def _connect_by_channel(self, until: float) -> _Connection | None:
        if self._open_channel is None or time.monotonic() < self._channel_barred_until:
            return None
        channel = self._open_channel()
        if channel is None:
            return None
        try:
            return _Connection(ChannelWire(channel), self._key, self._known_host, until)
        except OSError as error:
            log.info("ssh does not answer on the agent stream, so its port is tried: %s", error)
            self._channel_barred_until = time.monotonic() + CHANNEL_BACKOFF
            return None

    def connect(self, deadline: float) -> None:
        self._kept.get(deadline, deadline)

    def dial(self, socket_path: str) -> SshStream:
        return self._kept.use(lambda connection: connection.dial(socket_path))

    def session(
        self, argv: tuple[str, ...] | None, size: Size | None, term: str = "xterm-256color"
    ) -> SshSession:
        """A command, or a login shell; with a terminal of `size`, or without one."""
        try:
            channel = self._kept.use(lambda connection: connection.session())
            if size is not None:
                channel.get_pty(term, size.columns, size.rows)
            if argv is None:
                channel.invoke_shell()
            else:
                channel.exec_command(shlex.join(argv))
        except (ConnectionRefusedError, EOFError, paramiko.SSHException) as error:
            raise GuestUnreachable(GUEST_COMMAND_NOT_STARTED, details=str(error)) from error
        return SshSession(channel)

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60.0) -> Completed:
        session = self.session(argv, None)
        with ThreadPoolExecutor(3, "galley-ssh-run") as pool:
            output = pool.submit(_read_all, session.recv)
            errors = pool.submit(_read_all, session.recv_stderr)
            sent = pool.submit(_send_all, session, stdin)
            work: list[Future[Any]] = [output, errors, sent]
            ended, late = wait(work, timeout, FIRST_EXCEPTION)
            failure = next(filter(None, (one.exception() for one in ended)), None)
            if late:
                session.close()
        if late and failure is None:
            raise TimedOut(
                COMMAND_TIMED_OUT, command=argv[0], seconds=timeout, details=shlex.join(argv)
            )
        code = session.exit_status()
        session.close()
        if isinstance(failure, MachineError):
            raise failure
        if failure is not None:
            raise GuestUnreachable(GUEST_LOST_COMMAND) from failure
        return Completed(argv, code, output.result(), errors.result())

    def read(self, path: str) -> bytes:
        done = self.run(("sh", "-c", '[ -e "$1" ] || exit 66; exec cat -- "$1"', "sh", path))
        if done.returncode == 66:
            raise FileNotFoundError(path)
        if not done.ok:
            raise MachineError(GUEST_CANNOT_READ, path=path, details=done.tail())
        return done.stdout

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        script = (
            'umask 077; new="$1.$$.new"; cat > "$new" && chmod "$2" "$new" && mv -f "$new" "$1"'
            ' || { rm -f "$new"; exit 1; }'
        )
        done = self.run(("sh", "-c", script, "sh", path, f"{mode:o}"), stdin=data)
        if not done.ok:
            raise MachineError(GUEST_CANNOT_WRITE, path=path, details=done.tail())

    def close(self) -> None:
        self._kept.close()


def _read_all(recv: Callable[[int], bytes]) -> bytes:
    """Raises MachineError beyond OUTPUT_LIMIT."""
    said, size = [], 0
    while data := recv(WINDOW):
        said.append(data)
        size += len(data)
        if size > OUTPUT_LIMIT:
            raise MachineError(GUEST_OUTPUT_TOO_LONG)
    return b"".join(said)


def _send_all(session: SshSession, data: bytes) -> None:
    with contextlib.suppress(OSError):  # a command need not read what we have for it
        session.sendall(data)
        session.shutdown_write()
