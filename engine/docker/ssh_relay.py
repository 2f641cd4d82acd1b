"""Makes an engine behind ssh available on a local socket.

It runs the user's own `ssh`, which applies ~/.ssh/config: names, ports, keys, agents, jump hosts.
ssh never prompts and never accepts an unknown host key. One process serves any number of
connections; `open` starts another one when it has ended.
"""

import contextlib
import os
import re
import secrets
import threading
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.bridge import unix
from engine.dockercli.endpoint import Endpoint
from engine.messages.docker import (
    SSH_BAD_ADDRESS,
    SSH_CLOSED,
    SSH_FAILED,
    SSH_NO_ENGINE,
    SSH_NO_KEY,
    SSH_OTHER_HOST_KEY,
    SSH_UNKNOWN_HOST_KEY,
    SSH_WINDOWS,
)
from vm.errors import EngineUnreachable, Retry
from vm.host.paths import find_home, make_home
from vm.host.process import Companion

SOCKET = "/var/run/docker.sock"  # on the other side
PATIENCE = 40.0  # seconds until ssh is through
READY = "echo ready; exec cat"  # goes on until our end of its input is closed
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": "20",
    "ExitOnForwardFailure": "yes",
    "StreamLocalBindUnlink": "yes",
    "StreamLocalBindMask": "0177",  # no other user may connect
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "3",
    "ControlMaster": "no",  # a shared connection would keep the socket when we end
    "ControlPath": "none",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "INFO",  # so that it reports the sockets it cannot open
}


class SshAddress(NamedTuple):
    """The parts of an ssh:// address. "": as in ~/.ssh/config, or the default."""

    host: str
    user: str = ""
    port: str = ""
    socket: str = SOCKET

    @classmethod
    def of(cls, url: str) -> "SshAddress":
        """Raises EngineUnreachable."""
        whole, _, path = url.removeprefix("ssh://").partition("/")
        user, _, at = whole.rpartition("@")
        host, _, port = at.rpartition(":") if _has_port(at) else (at, "", "")
        host = host.removeprefix("[").removesuffix("]")
        odd = not host or host.startswith("-") or user.startswith("-") or ":" in user
        if odd or (port and not port.isdecimal()) or not url.isprintable() or " " in url:
            shown = url.replace(f"{user}@", "…@") if ":" in user else url  # the password stays out
            raise EngineUnreachable(
                SSH_BAD_ADDRESS,
                address=shown,
                retry=Retry.NO,
            )
        return cls(host, user, port, f"/{path}" if path else SOCKET)

    def words(self) -> list[str]:
        """As arguments of ssh."""
        port = ["-p", self.port] if self.port else []
        user = ["-l", self.user] if self.user else []
        return [*port, *user, "--", self.host]

    def command(self) -> str:
        """The ssh command for it."""
        port = f"-p {self.port} " if self.port else ""
        return f"ssh {port}{self.user}@{self.host}" if self.user else f"ssh {port}{self.host}"


def _has_port(at: str) -> bool:
    return at.rpartition("]")[2].count(":") == 1


class SshRelay:
    """Any thread may call anything."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._place = SshAddress.of(endpoint.url)
        self._lock = threading.Lock()
        self._ssh: Companion | None = None
        self._closed = False
        folder = make_home(find_home()).run
        _forget_dead(folder)
        self._socket = folder / f"ssh-{secrets.token_hex(4)}.sock"

    def open(self) -> Endpoint:
        """The path of the local socket. Raises EngineUnreachable, ToolMissing."""
        with self._lock:
            if self._closed:
                raise EngineUnreachable(SSH_CLOSED, name=self._endpoint.name)
            if self._ssh is not None and not self._ssh.is_alive:
                self._ssh.end()
                self._ssh = None
            self._ssh = self._ssh or self._start()
        return msgspec.structs.replace(self._endpoint, url=f"unix://{self._socket}")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._ssh is not None:
                self._ssh.end()
            self._socket.unlink(missing_ok=True)

    def explained(self, error: EngineUnreachable) -> EngineUnreachable:
        """The reason of an ssh that works, but reaches no engine; `error` itself if ssh reports
        none."""
        stderr = self._ssh.complaints() if self._ssh is not None else ""
        if "open failed" not in stderr:
            return error
        place = self._place
        return EngineUnreachable(
            SSH_NO_ENGINE,
            host=place.host,
            socket=place.socket,
            details=stderr,
        )

    def _start(self) -> Companion:
        if os.name == "nt":
            raise EngineUnreachable(
                SSH_WINDOWS,
                name=self._endpoint.name,
                retry=Retry.NO,
            )
        options = [word for pair in OPTIONS.items() for word in ("-o", "=".join(pair))]
        forward = f"{self._socket}:{self._place.socket}"
        ssh = Companion(["ssh", "-T", *options, "-L", forward, *self._place.words(), READY])
        if ssh.is_ready(PATIENCE):
            return ssh
        stderr = ssh.complaints()
        ssh.end()
        raise _refused(self._place, stderr or ssh.complaints())


def _refused(place: SshAddress, stderr: str) -> EngineUnreachable:
    """The error of an ssh that did not connect. Its messages are English in every locale."""
    name, command = place.host, place.command()
    if "HOST IDENTIFICATION HAS CHANGED" in stderr:
        return EngineUnreachable(
            SSH_OTHER_HOST_KEY,
            name=name,
            command=command,
            details=stderr,
            retry=Retry.NO,
        )
    if "Host key verification failed" in stderr:
        return EngineUnreachable(
            SSH_UNKNOWN_HOST_KEY,
            name=name,
            command=command,
            details=stderr,
        )
    if "Permission denied" in stderr:
        return EngineUnreachable(
            SSH_NO_KEY,
            name=name,
            command=command,
            details=stderr,
        )
    last = (stderr.splitlines() or ["it does not answer"])[-1]
    last = re.sub(r"^ssh: (?:connect to host \S+ port \d+: )?", "", last).strip().rstrip(".")
    return EngineUnreachable(SSH_FAILED, name=name, reason=last, command=command, details=stderr)


def _forget_dead(folder: Path) -> None:
    """Sockets of a Galley that was killed."""
    for path in folder.glob("ssh-*.sock"):
        with contextlib.suppress(OSError):
            try:
                unix.connect(path).close()
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
