"""A connection to a published port resumes a paused or suspended machine."""

import contextlib
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.galley import IMAGE, SERVE, SOON, Galley
from vm.host import net

BOTH = ("127.0.0.1", "[::1]")


@pytest.fixture
def saving(galley: Galley) -> Iterator[Galley]:
    """A Galley in which idle containers do not prevent a pause."""
    galley.run("settings", "set", "save_busy", "true")
    galley.run("settings", "set", "save_after", "2s")
    yield galley
    for name in ("save_after", "save_busy", "suspend_after"):
        galley.run("settings", "unset", name)
    galley.docker("rm", "-f", "web")


@pytest.fixture
def port(saving: Galley) -> int:
    port = net.free_port()
    saving.docker("run", "-d", "--name", "web", "-p", f"{port}:80", IMAGE, "sh", "-c", SERVE)
    saving.wait_for(lambda: answers(port), "the server listens")
    return port


def answers(port: int) -> bool:
    try:
        return get(BOTH[0], port) == b"served\n"
    except OSError:  # the container runs, but its server does not listen yet
        return False


def get(address: str, port: int) -> bytes:
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=60) as answer:
        return bytes(answer.read())


def wait_for(galley: Galley, state: str) -> None:
    galley.wait_for(lambda: galley.status()["state"] == state, f"the machine is {state}", SOON)


def wait_until_suspended(galley: Galley) -> None:
    galley.wait_for(lambda: bool(galley.status()["resumable"]), "it is suspended")


@pytest.mark.parametrize("address", BOTH)
def test_a_connection_to_a_port_resumes_a_paused_machine(
    saving: Galley, port: int, address: str
) -> None:
    for _ in range(2):
        wait_for(saving, "paused")
        assert get(address, port) == b"served\n"
        assert saving.status()["state"] == "running"


def test_data_on_an_open_connection_resumes_a_paused_machine(saving: Galley, port: int) -> None:
    with socket.create_connection((BOTH[0], port), 60) as client:
        client.sendall(b"GET / HTTP/1.0\r\n")
        wait_for(saving, "paused")
        client.sendall(b"\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.")


def test_a_connection_resumes_a_machine_that_the_next_supervisor_adopted(
    saving: Galley, port: int
) -> None:
    wait_for(saving, "paused")
    saving.run("restart", "--supervisor")
    assert saving.status()["state"] == "paused"
    assert get(BOTH[0], port) == b"served\n"


def test_a_connection_to_a_port_resumes_a_suspended_machine(saving: Galley, port: int) -> None:
    saving.run("settings", "set", "suspend_after", "2s")
    for address in BOTH:
        wait_until_suspended(saving)
        assert saving.machines() == []
        assert get(address, port) == b"served\n"
        assert saving.status()["state"] == "running"
        assert get(address, port) == b"served\n", "the next connection works directly"
    wait_until_suspended(saving)
    saving.run("restart", "--supervisor")
    assert get(BOTH[0], port) == b"served\n"


def test_a_stopped_machine_frees_its_ports(saving: Galley, port: int) -> None:
    saving.run("settings", "set", "suspend_after", "2s")
    wait_until_suspended(saving)
    assert not net.is_free(BOTH[0], port)
    saving.run("stop")
    assert net.is_free(BOTH[0], port)
    with contextlib.suppress(OSError):
        pytest.fail(f"the port answers: {get(BOTH[0], port)!r}")
    saving.start()
