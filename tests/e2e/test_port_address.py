"""The setting `port_address`: ports are published at its address only."""

import contextlib
import json
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.galley import IMAGE, SOON, Galley
from vm.host import net

USUAL, OTHER = "127.0.0.1", "127.0.0.2"  # two loopback addresses, which every Linux has
BOTH = (USUAL, "::1")


@pytest.fixture
def elsewhere(galley: Galley) -> Iterator[Galley]:
    galley.run("settings", "set", "port_address", OTHER)
    yield galley
    galley.docker("rm", "-f", "web", "next", check=False)
    galley.run("settings", "set", "port_address", USUAL)


def answers(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=10) as at:
        return at.recv(100) == b"served\n"
    return False


def serve(galley: Galley, name: str, port: int, check: bool = True) -> tuple[int, str]:
    words = ("run", "-d", "--name", name, "-p", f"{port}:80", IMAGE)
    server = "while :; do echo served | nc -l -p 80; done"
    done = galley.docker(*words, "sh", "-c", server, check=check)
    return done.returncode, done.stderr.decode()


def test_ports_are_published_at_the_address_of_the_setting(elsewhere: Galley) -> None:
    port = net.free_port()
    serve(elsewhere, "web", port)
    elsewhere.wait_for(lambda: answers(OTHER, port), "the server answers")
    assert all(net.is_free(address, port) for address in BOTH)
    listed = json.loads(elsewhere.run("ports", "--json").stdout)
    assert [(row["forward"]["host_address"], row["forward"]["host_port"]) for row in listed] == [
        (OTHER, port)
    ]


def test_a_port_taken_on_another_address_is_free_at_the_settings_address(elsewhere: Galley) -> None:
    with socket.create_server((USUAL, 0)) as holder:
        port = holder.getsockname()[1]
        serve(elsewhere, "web", port)
        elsewhere.wait_for(lambda: answers(OTHER, port), "the server answers")
    with socket.create_server((OTHER, 0)) as holder:
        code, stderr = serve(elsewhere, "next", holder.getsockname()[1], check=False)
        assert code != 0
        assert f"{holder.getsockname()[1]}" in stderr


def test_a_restarted_container_publishes_at_the_new_address(elsewhere: Galley) -> None:
    port = net.free_port()
    serve(elsewhere, "web", port)
    elsewhere.run("settings", "set", "port_address", USUAL)
    elsewhere.docker("restart", "-t", "0", "web")
    for address in BOTH:
        elsewhere.wait_for(partial(answers, address, port), f"it answers on {address}")
    elsewhere.wait_for(lambda: net.is_free(OTHER, port), "the old address is free", SOON)
