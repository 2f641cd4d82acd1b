"""Servers on this computer for a test: Debian's registry and proxy, and a Python HTTP server in a
thread."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import bcrypt

from tests.authorities import Authority
from vm.host.net import free_port

USER, PASSWORD = "bob", "the right one"
ANY = "0.0.0.0"  # a connection to it reaches the computer that opens it
REGISTRY = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: "{folder}/images"}}}}
http:
  addr: "127.0.0.1:{port}"
  tls: {{certificate: "{folder}/cert", key: "{folder}/key", clientcas: {clients}}}
auth: {{htpasswd: {{realm: private, path: "{folder}/htpasswd"}}}}
"""
PROXY = """
Port {port}
Listen 127.0.0.1
LogFile "{folder}/log"
LogLevel Connect
Timeout 60
MaxClients 20
"""


class Server:
    """One program that listens on `port` of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self.folder / "output"
        with log.open("wb") as file:
            self._process = subprocess.Popen(self._words(), stdout=file, stderr=file)
        never, until = threading.Event(), time.monotonic() + 20
        while not self._listens():
            output = log.read_text()
            assert self._process.poll() is None, output
            assert time.monotonic() < until, output
            never.wait(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _words(self) -> list[str]:
        raise NotImplementedError


class SecureRegistry(Server):
    """For USER with PASSWORD. Its certificate is for `address` and valid for `days`.
    `clients`: it requires a client certificate of the same authority."""

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        address: str,
        days: float = 30,
        *,
        clients: bool = False,
    ) -> None:
        super().__init__(folder)
        (folder / "authority").write_bytes(authority.pem)
        certificate, key = authority.server(address, days)
        (folder / "cert").write_bytes(certificate)
        (folder / "key").write_bytes(key)
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        authorities = [str(folder / "authority")] if clients else []
        config = REGISTRY.format(folder=folder, port=self.port, clients=authorities)
        (folder / "config.yml").write_text(config)
        self.name = f"{address}:{self.port}"

    def _words(self) -> list[str]:
        return [_program("docker-registry"), "serve", str(self.folder / "config.yml")]


class Proxy(Server):
    """tinyproxy, without a login or for USER with `password`. `log` has a line or more for each
    request."""

    def __init__(self, folder: Path, password: str = "") -> None:
        super().__init__(folder)
        config = PROXY.format(folder=folder, port=self.port)
        config += f"BasicAuth {USER} {password}\n" if password else ""
        (folder / "config").write_text(config)
        self.address = f"http://127.0.0.1:{self.port}"
        self.inside = f"http://10.0.2.2:{self.port}"  # as the machine reaches it

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _words(self) -> list[str]:
        return [_program("tinyproxy"), "-d", "-c", str(self.folder / "config")]


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"install Debian's {name}"
    return found


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[int]:
    """Runs the server in a thread; yields its port."""
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
