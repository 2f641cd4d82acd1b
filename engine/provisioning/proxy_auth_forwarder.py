"""Logs in to a proxy on behalf of the machine, so that the password is not in the machine.

A password in the machine would end up in files: container environments, docker's config.json. So
the machine gets the address of a proxy on this computer's loopback without a login, which forwards
all requests with the login. Only the machine may connect: other users have logins of their own.
Next: `proxies.py`, `vm/host/forwarder.py`.
"""

import base64
import hashlib
import logging
import os
import socket
import threading

import msgspec

from engine.dockerapi.http import HEAD_LIMIT, refusal
from engine.provisioning import proxies as proxy
from engine.provisioning.proxies import Proxies
from engine.settings import proxy_address
from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import GalleyError, Problem
from vm.host import net
from vm.host.forwarder import Forwarder, both_ways
from vm.host.paths import Home

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
PORTS = range(20000, 30000)  # computers hand out none of them by themselves
TRIES = 20
PATIENCE = 20.0  # seconds for a request, and for the proxy to take a connection
END = b"\r\n\r\n"


class ProxyLogin:
    """Any thread."""

    def __init__(self, home: Home, backend: Backend) -> None:
        # The same after every start, for containers keep it in their environment.
        chosen = hashlib.sha256(os.fsencode(home.root)).digest()
        self._first = PORTS[int.from_bytes(chosen[:4]) % (len(PORTS) - TRIES)]
        self._directory = MachineDir.of(home)
        self._backend = backend
        self._lock = threading.Lock()
        self._forwarder = Forwarder()
        self._proxies = Proxies()
        self._passwords: dict[str, str] = {}
        self._port = 0

    def follow(self, proxies: Proxies) -> Proxies:
        """Log in to these from now on. Returns them with the forwarder's port."""
        with self._lock:
            self._proxies, self._passwords = proxies, {}
            if not proxies.with_login:
                self._close()
            elif not self._port:
                self._open()
            return msgspec.structs.replace(proxies, login_port=self._port)

    def problem(self) -> Problem | None:
        """Why logins at one of them fail."""
        try:
            for address in self._proxies.with_login:
                self._password(address)
        except GalleyError as error:
            return error.to_problem()
        return None

    def close(self) -> None:
        with self._lock:
            self._close()

    def _open(self) -> None:
        for port in range(self._first, self._first + TRIES):
            try:
                self._forwarder.serve((LOOPBACK, port), self._answer)
            except OSError as error:
                log.warning("port %d for proxies: %s", port, error)
                continue
            self._port = port
            return

    def _close(self) -> None:
        self._forwarder.close_all()
        self._port = 0

    def _password(self, address: str) -> str:
        """Raises KeyringUnusable, HostError. A slow keyring delays no other connection."""
        kept = self._passwords
        if address not in kept:
            kept[address] = proxy.password(address)
        return kept[address]

    # A connection

    def _answer(self, near: socket.socket) -> None:
        """Carry one from the machine. Raises OSError when it is lost."""
        pid = self._backend.observe(self._directory).pid
        if pid is None or not net.is_with(pid, near):
            log.warning("refused a connection to the proxy that is not the machine's")
            return
        near.settimeout(PATIENCE)
        head, rest = _receive(near)
        is_tunnel = head.startswith(b"CONNECT ")
        known = (self._proxies.https, self._proxies.http)
        address = next(filter(None, known if is_tunnel else reversed(known)), "")
        try:
            login = _login(address, self._password(address))
            far = proxy.connect(address, PATIENCE)
        except GalleyError as error:
            log.warning("%s", error.summary)
            near.sendall(refusal(error.to_problem()))
            return
        with far:
            far.sendall(_with_login(head, login, is_tunnel=is_tunnel) + rest)
            near.settimeout(None)
            far.settimeout(None)
            both_ways(near, far)


def _receive(near: socket.socket) -> tuple[bytes, bytes]:
    """A request's head, without the empty line, and the bytes after it."""
    held = b""
    while END not in held:
        data = near.recv(HEAD_LIMIT)
        if not data or len(held) > HEAD_LIMIT:
            raise OSError("no request")
        held += data
    head, _, rest = held.partition(END)
    return head, rest


def _login(address: str, password: str) -> bytes:
    pair = f"{proxy_address.user(address)}:{password}"
    return b"Proxy-Authorization: Basic " + base64.b64encode(pair.encode())


def _with_login(head: bytes, login: bytes, *, is_tunnel: bool) -> bytes:
    """A request that is no tunnel gets a connection of its own: a second one would have no
    login."""
    first, *lines = head.split(b"\r\n")
    dropped = {b"proxy-authorization"}
    if not is_tunnel:
        dropped |= {b"connection", b"proxy-connection"}
        login += b"\r\nConnection: close"
    kept = (line for line in lines if line.partition(b":")[0].strip().lower() not in dropped)
    return b"\r\n".join((first, *kept, login)) + END
