"""The forwarder that logs in to a proxy for the machine, and for no other program."""

import base64
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from engine.credentials import proxy_password
from engine.provisioning.proxies import Proxies
from engine.provisioning.proxy_auth_forwarder import ProxyLogin
from tests.unit.engine.secret_service import SecretService, unlocked
from vm.backend import Backend
from vm.directory import MachineDir
from vm.host.net import free_port
from vm.host.paths import Home
from vm.types import MachineState, Observation

USER, PASSWORD = "me", "to be found nowhere"
LOGIN = b"Proxy-Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())
STRANGER = """
import socket, sys
there, here = int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))
connection = socket.create_connection(("127.0.0.1", there), 20, here)
try:
    connection.sendall(b"CONNECT h:1 HTTP/1.1\\r\\n\\r\\n")
    print(connection.recv(100))
except ConnectionError:
    print(b"")
"""


class Machine:
    """`pid` is the machine's process ID: this process, unless a test sets another."""

    pid = os.getpid()

    def observe(self, _directory: MachineDir) -> Observation:
        return Observation(MachineState.RUNNING, self.pid)


class EchoProxy:
    """A proxy that responds to each request with the request itself."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://{USER}@127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                while data := client.recv(65536):
                    client.sendall(data)
                client.shutdown(socket.SHUT_WR)


@pytest.fixture
def echo_proxy() -> Iterator[EchoProxy]:
    made = EchoProxy()
    yield made
    made.close()


@pytest.fixture
def keyring() -> Iterator[SecretService]:
    with unlocked() as service:
        yield service


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def login(home: Home, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProxyLogin]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = ProxyLogin(home, cast(Backend, machine))
    yield made
    made.close()


def response_to(login_port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", login_port), 20) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


def test_the_password_goes_to_the_proxy_and_nowhere_else(
    login: ProxyLogin, echo_proxy: EchoProxy, keyring: SecretService
) -> None:
    proxy_password.keep(echo_proxy.address, PASSWORD)
    proxies = login.follow(Proxies(echo_proxy.address, echo_proxy.address))
    assert login.problem() is None
    assert proxies.variables()["https_proxy"] == f"http://10.0.2.2:{proxies.login_port}"
    request = b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nProxy-Authorization: x\r\n\r\nmore"
    assert response_to(proxies.login_port, request) == (
        b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n" + LOGIN + b"\r\n\r\nmore"
    )
    request = b"GET http://h/ HTTP/1.1\r\nproxy-connection: keep-alive\r\nAccept: */*\r\n\r\n"
    assert response_to(proxies.login_port, request) == (
        b"GET http://h/ HTTP/1.1\r\nAccept: */*\r\n" + LOGIN + b"\r\nConnection: close\r\n\r\n"
    )
    assert PASSWORD not in repr(proxies)


def test_other_programs_are_refused(
    login: ProxyLogin, echo_proxy: EchoProxy, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", echo_proxy.address.replace(USER, f"{USER}:{PASSWORD}"))
    login_port = login.follow(Proxies(https=echo_proxy.address)).login_port
    with socket.create_server(("127.0.0.1", 0)) as server:  # like QEMU's listener for ssh
        for here in (("127.0.0.1", 0), ("127.0.0.2", server.getsockname()[1])):
            words = [sys.executable, "-c", STRANGER, str(login_port), *map(str, here)]
            assert subprocess.run(words, capture_output=True, timeout=30).stdout == b"b''\n"
    assert LOGIN in response_to(
        login_port, b"CONNECT h:1 HTTP/1.1\r\n\r\n"
    )  # the password is the environment's


def test_a_missing_password_and_a_locked_keyring_are_reported(
    login: ProxyLogin, echo_proxy: EchoProxy, keyring: SecretService
) -> None:
    login_port = login.follow(Proxies(echo_proxy.address)).login_port
    problem = login.problem()
    assert problem is not None
    assert problem.summary == f"Galley has no password for the proxy {echo_proxy.address}."
    assert "settings set http_proxy -" in problem.hint
    proxy_password.keep(echo_proxy.address, PASSWORD)
    keyring.lock()
    problem = login.problem()
    assert problem is not None
    assert problem.summary == "The keyring is locked."
    assert b"The keyring is locked." in response_to(login_port, b"GET http://h/ HTTP/1.1\r\n\r\n")


def test_a_proxy_that_is_down_is_a_503(login: ProxyLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = f"http://{USER}@127.0.0.1:{free_port()}"
    monkeypatch.setenv("http_proxy", gone.replace(USER, f"{USER}:{PASSWORD}"))
    response = response_to(
        login.follow(Proxies(gone)).login_port, b"GET http://h/ HTTP/1.1\r\n\r\n"
    )
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"does not answer: connection refused." in response


def test_the_port_is_reused_and_is_closed_if_no_proxy_has_a_login(
    login: ProxyLogin, home: Home, machine: Machine
) -> None:
    wanted = Proxies("http://me@h:1", "http://h:2")
    login_port = login.follow(wanted).login_port
    assert login.follow(wanted).named("http", "https", "none")["https"] == "http://h:2"
    assert login.follow(Proxies("http://h:1")).login_port == 0
    with pytest.raises(ConnectionRefusedError):
        response_to(login_port, b"")
    again = ProxyLogin(home, cast(Backend, machine))
    assert again.follow(wanted).login_port == login_port
    assert login.follow(wanted).login_port == login_port + 1  # taken
    again.close()
