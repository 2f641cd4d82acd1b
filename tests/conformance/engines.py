"""One engine and the clients of it: docker CLI, SDK, raw HTTP, and programs of this computer.

A scenario's thread enters the network namespace of its engine, so that 127.0.0.1 is this computer's
loopback for Galley, and the loopback of the native dockerd's namespace for the native engine. Next:
`suite.py`.
"""

import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from docker import DockerClient

PATIENCE = 120.0  # seconds; only a difference or a failure waits so long
SERVES = 60.0  # seconds until an expected state; only a difference waits so long
API = "/v1.45"
IMAGE = "conformance"
MARK = "=== "  # before the output of each line of a joined script
CLEAN = (
    ("/containers/json?all=1", "/containers/{Id}?force=1&v=1", "Id"),
    ("/networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D", "/networks/{Id}", "Id"),
    ("/volumes", "/volumes/{Name}?force=1", "Name"),
)


class Reply(msgspec.Struct, frozen=True):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Docker's own error text, or the body where it is not JSON."""
        try:
            return str(self.json["message"])
        except (ValueError, KeyError, TypeError):
            return self.body.decode(errors="replace")

    @property
    def verdict(self) -> dict[str, Any]:
        """The status, and the message of an error."""
        return {"status": self.status, "message": self.message if self.status >= 400 else ""}


class Ran(msgspec.Struct, frozen=True):
    """The result of a program."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> dict[str, Any]:
        return {"code": self.code, "out": self.out, "err": self.err}


def together(lines: dict[str, str]) -> str:
    """Joins shell lines into one script: an exec in an emulated machine takes a second."""
    return "exec 2>&1; " + "\n".join(f"echo '{MARK}{name}'; {line}" for name, line in lines.items())


def apart(output: str) -> dict[str, str]:
    """The output of each line of a script by `together`."""
    pieces = (piece.partition("\n") for piece in output.split(MARK)[1:])
    return {name: text for name, _, text in pieces}


class Engine:
    """`namespace`: the network namespace of its published ports; None for the suite's own."""

    def __init__(self, name: str, docker_socket: Path, config: Path, folder: Path) -> None:
        self.name = name
        self.socket = docker_socket
        self.url = f"unix://{docker_socket}"
        self.env = {**os.environ, "DOCKER_CONFIG": str(config), "DOCKER_HOST": self.url}
        self.root = folder
        self.namespace: Path | None = None
        self.data = "/var/lib/docker"
        self.images: set[str] = set()  # the images that every scenario starts with

    def enter(self) -> None:
        """Moves the calling thread, and the processes it starts, to the engine's network."""
        if self.namespace is not None:
            with self.namespace.open() as file:
                os.setns(file.fileno(), os.CLONE_NEWNET)

    # Clients

    def docker(
        self, command: str, *words: str, stdin: str | bytes | None = None, ok: bool = False
    ) -> Ran:
        """The docker CLI: a command, split as by a shell, then words unchanged. `ok`: the command
        must succeed, because the scenario does not compare its result."""
        return self.run("docker", *shlex.split(command), *words, stdin=stdin, ok=ok)

    def once(self, options: str, *words: str, line: str = "true") -> Ran:
        """Runs a shell line in a container that is removed afterwards."""
        return self.docker(f"run --rm {options}", *words, IMAGE, "sh", "-c", line)

    def shell(self, container: str, line: str, ok: bool = False) -> Ran:
        """Runs a shell line in a running container."""
        return self.docker("exec", container, "sh", "-c", line, ok=ok)

    def run(
        self,
        *words: str,
        stdin: str | bytes | None = None,
        ok: bool = False,
        folder: Path | None = None,
    ) -> Ran:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            words,
            input=data or b"",
            capture_output=True,
            timeout=PATIENCE,
            env=self.env,
            cwd=folder,
        )
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        assert not ok or done.returncode == 0, f"{words} on {self.name}: {err or out}"
        return Ran(done.returncode, out, err)

    @cached_property
    def sdk(self) -> DockerClient:
        return DockerClient(base_url=self.url, timeout=int(PATIENCE))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        api: str = API,
    ) -> Reply:
        """One request on its own connection. `body`: bytes, or a value that is sent as JSON."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        content_type = {"Content-Type": "application/json"} if sent is not None else {}
        connection = self.connection()
        try:
            connection.request(method, api + path, sent, content_type | (headers or {}))
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, received, answer.read())
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("docker", timeout=PATIENCE)
        connection.sock = self.dial()
        return connection

    def dial(self) -> socket.socket:
        dialed = socket.socket(socket.AF_UNIX)
        dialed.settimeout(PATIENCE)
        dialed.connect(str(self.socket))
        return dialed

    # Helpers of scenarios

    def create(self, name: str, *cmd: str, **config: Any) -> str:
        """Creates a container by the API; returns its id. `config`: Docker's field names."""
        body = {"Image": IMAGE, "Cmd": list(cmd) or ["sleep", "1000"], **config}
        reply = self.request("POST", f"/containers/create?name={name}", body)
        assert reply.status == 201, f"create on {self.name}: {reply.message}"
        return str(reply.json["Id"])

    def start(self, name: str, *cmd: str, **config: Any) -> str:
        """Creates and starts a container; returns its id."""
        made = self.create(name, *cmd, **config)
        reply = self.request("POST", f"/containers/{made}/start")
        assert reply.status == 204, f"start on {self.name}: {reply.message}"
        return made

    def inspect(self, name: str, kind: str = "containers") -> Any:
        reply = self.request("GET", f"/{kind}/{name}" + ("/json" if kind == "containers" else ""))
        assert reply.status == 200, f"inspect on {self.name}: {reply.message}"
        return reply.json

    def wait(self, name: str) -> int:
        """Waits until the container has ended; returns its exit code."""
        return int(self.request("POST", f"/containers/{name}/wait").json["StatusCode"])

    def ended(self, name: str, restarts: int = 0) -> dict[str, Any]:
        """The inspected container after so many restarts and its last exit: dockerd answers a wait
        before it updates the container's state."""

        def is_over(found: dict[str, Any]) -> bool:
            return bool(found["State"]["Status"] == "exited" and found["RestartCount"] >= restarts)

        return self.eventually(lambda: dict(self.inspect(name)), is_over)

    def folder(self, name: str) -> Path:
        """A new folder of this computer, for bind mounts, builds and compose files."""
        made = self.root / name
        made.mkdir(parents=True)
        return made

    def eventually[T](
        self, read: Callable[[], T], is_expected: Callable[[T], object], within: float = SERVES
    ) -> T:
        """The first value that is as expected, or the last one before the deadline, which then
        shows as a difference."""
        until = time.monotonic() + within
        while not is_expected(found := read()) and time.monotonic() < until:
            threading.Event().wait(0.1)
        return found

    def page(
        self, port: int | str, address: str = "127.0.0.1", wanted: str = "", within: float = SERVES
    ) -> str:
        """The page of an HTTP server, once it answers (or answers `wanted`)."""

        def get() -> str:
            connection = http.client.HTTPConnection(address, int(port), timeout=5)
            try:
                connection.request("GET", "/")
                return connection.getresponse().read().decode().strip()
            except (OSError, http.client.HTTPException) as error:
                return "refused" if isinstance(error, ConnectionError) else type(error).__name__
            finally:
                connection.close()

        errors = ("refused", "TimeoutError", "RemoteDisconnected")

        def is_expected(page: str) -> bool:
            return page == wanted if wanted else page not in errors

        return self.eventually(get, is_expected, within)

    def clear(self) -> None:
        """Removes everything that a scenario has created."""
        for listing, one, key in CLEAN:
            found = self.request("GET", listing).json
            for item in (found.get("Volumes") or []) if isinstance(found, dict) else found:
                self.request("DELETE", one.format(**{key: item[key]}))
        for image in self.request("GET", "/images/json?all=1").json:
            if image["Id"] not in self.images:
                self.request("DELETE", f"/images/{image['Id']}?force=1")
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()

    def close(self) -> None:
        if "sdk" in self.__dict__:
            self.sdk.close()
