"""A connection to a published port wakes a paused or suspended machine."""

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
    """Containers that use no CPU do not keep it awake."""
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
    saving.wait_for(lambda: answers(port), "its server listens")
    return port


def answers(port: int) -> bool:
    try:
        return get(BOTH[0], port) == b"served\n"
    except OSError:  # the container runs, its server does not yet
        return False


def get(address: str, port: int) -> bytes:
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=60) as answer:
        return bytes(answer.read())


def wait_for(galley: Galley, state: str) -> None:
    galley.wait_for(lambda: galley.status()["state"] == state, f"it is {state}", SOON)


def wait_until_it_is_away(galley: Galley) -> None:
    galley.wait_for(lambda: bool(galley.status()["resumable"]), "it is on the disk")


@pytest.mark.parametrize("address", BOTH)
def test_who_comes_to_a_port_wakes_it(saving: Galley, port: int, address: str) -> None:
    for _ in range(2):
        wait_for(saving, "paused")
        assert get(address, port) == b"served\n"
        assert saving.status()["state"] == "running"


def test_a_connection_that_is_open_wakes_it_too(saving: Galley, port: int) -> None:
    with socket.create_connection((BOTH[0], port), 60) as client:
        client.sendall(b"GET / HTTP/1.0\r\n")
        wait_for(saving, "paused")
        client.sendall(b"\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.")


def test_the_next_supervisor_hears_it_too(saving: Galley, port: int) -> None:
    wait_for(saving, "paused")
    saving.run("restart", "--supervisor")
    assert saving.status()["state"] == "paused"
    assert get(BOTH[0], port) == b"served\n"


def test_who_comes_to_a_port_gets_it_back_from_the_disk(saving: Galley, port: int) -> None:
    saving.run("settings", "set", "suspend_after", "2s")
    for address in BOTH:
        wait_until_it_is_away(saving)
        assert saving.machines() == []
        assert get(address, port) == b"served\n"
        assert saving.status()["state"] == "running"
        assert get(address, port) == b"served\n", "and from now on without us"
    wait_until_it_is_away(saving)
    saving.run("restart", "--supervisor")
    assert get(BOTH[0], port) == b"served\n"


def test_a_machine_that_its_user_has_stopped_leaves_its_ports(saving: Galley, port: int) -> None:
    saving.run("settings", "set", "suspend_after", "2s")
    wait_until_it_is_away(saving)
    assert not net.is_free(BOTH[0], port)
    saving.run("stop")
    assert net.is_free(BOTH[0], port)
    with contextlib.suppress(OSError):
        pytest.fail(f"somebody answers: {get(BOTH[0], port)!r}")
    saving.start()
