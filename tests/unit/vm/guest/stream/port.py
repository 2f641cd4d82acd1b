"""What the tests of the agent stream put in QEMU's place, and in dockerd's."""

import contextlib
import fcntl
import os
import pty
import select
import socket
import struct
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

from engine.guest.recipe import FILES
from tests.background import PATIENCE, Background


def build_agent(folder: Path) -> Path:
    """With the compiler's checks of memory and of undefined behaviour, which end it."""
    made = folder / "relay"
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra")
    source = FILES / "source" / "relay.c"
    subprocess.run(["cc", "-O1", "-Werror", *checks, "-o", made, source], check=True)
    return made


class Port:
    """A terminal line with the agent at its other end, and nothing here but its bytes."""

    def __init__(self, program: Path, *sshd: str) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        messages = program.with_name("messages")
        self.agent = subprocess.Popen([program, os.ttyname(self._slave), messages, *sshd])

    def exchange(self, data: bytes, awaited: bytes) -> bytes:
        """Send `data`, and receive until `awaited` has come."""
        received, until = b"", time.monotonic() + PATIENCE
        while data or awaited not in received:
            assert time.monotonic() < until, f"{len(data)} bytes unsent, {received[-100:]!r}"
            room = [self.master] if data else []
            ready, room, _ = select.select([self.master], room, [], 0.1)
            if ready:
                received += os.read(self.master, 1 << 16)
            if room:
                data = data[os.write(self.master, data) :]
        return received

    def is_full(self) -> bool:
        """Whether no more of the agent's bytes go through, which it seems after 0.1 s."""
        before = self._unread()
        select.select([], [], [], 0.1)
        return before == self._unread() > 0

    def _unread(self) -> int:
        unread: int = struct.unpack("i", fcntl.ioctl(self.master, termios.FIONREAD, bytes(4)))[0]
        return unread

    def close(self) -> None:
        assert self.agent.poll() is None, "the agent has ended"
        self.agent.kill()
        self.agent.wait()
        os.close(self.master)
        os.close(self._slave)


class Machine:
    """A terminal line as the port: the agent at one end, and whoever connected last at the other,
    as QEMU does it. Who is not there loses nothing of what comes later."""

    def __init__(self, program: Path, *sshd: str) -> None:
        """`sshd`: the words that start one."""
        self._program = program
        self.messages = program.with_name("messages")
        self.messages.unlink(missing_ok=True)
        self._sshd = sshd
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self._slave = slave  # held open: a line without anybody would be hung up
        self._host: socket.socket | None = None
        self._next: socket.socket | None = None
        self._pending = b""
        self._changed, self._change = socket.socketpair()
        self._carrier = threading.Thread(target=self._carry, name="line", daemon=True)
        self._carrier.start()
        self.agent: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        words = [str(self._program), os.ttyname(self._slave), str(self.messages), *self._sshd]
        self.agent = subprocess.Popen(words)

    def kill(self) -> None:
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait()

    def connect(self, until: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._next = ours
        self._change.send(b"x")
        return theirs

    def close(self) -> None:
        assert self.agent is not None
        assert self.agent.poll() is None, "the agent has ended"
        self.kill()
        self._change.close()
        self._carrier.join(PATIENCE)
        os.close(self._master)
        os.close(self._slave)
        self._changed.close()

    def _carry(self) -> None:
        os.set_blocking(self._master, False)
        while True:
            sides: list[int | socket.socket] = [self._master, self._changed]
            if self._host is not None and not self._pending:
                sides.append(self._host)
            ready, room, _ = select.select(sides, [self._master] if self._pending else [], [])
            if self._changed in ready:
                if not self._changed.recv(1):
                    break
                self._hang_up()
                self._host = self._next
            elif room:
                self._pending = self._pending[os.write(self._master, self._pending) :]
            elif self._master in ready:
                self._hand(os.read(self._master, 65536))
            elif self._host is not None:
                self._pending = self._receive(self._host)
                if not self._pending:
                    self._hang_up()
        self._hang_up()

    def _receive(self, host: socket.socket) -> bytes:
        """Nothing at its end, also of a host that closed before it read everything."""
        try:
            return host.recv(4096)
        except ConnectionResetError:
            return b""

    def _hand(self, data: bytes) -> None:
        if self._host is not None:
            with contextlib.suppress(OSError):
                self._host.sendall(data)

    def _hang_up(self) -> None:
        if self._host is not None:
            self._host.close()
        self._host = None


class Server:
    """A Unix socket whose connections `talk` gets, each in a thread."""

    def __init__(self, path: Path, talk: Callable[[socket.socket], None]) -> None:
        self.path = str(path)
        self._talk = talk
        self._connections: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(self.path)
        self._listening.listen(512)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._pool = Background()
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._pool.submit(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self._talk(connection)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listening.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
