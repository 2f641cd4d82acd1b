"""A terminal in a real container: echo and window size."""

import threading
from collections.abc import Iterator

import pytest

from engine.docker.client import DockerClient
from engine.docker.exec import Pty, open_pty
from tests.unit.engine.bridge.servers import wait_until
from vm.errors import EngineUnreachable


@pytest.fixture
def pty(client: DockerClient, web: str) -> Iterator[Pty]:
    made = open_pty(client.api, web, ("sh",), 100, 30)
    yield made
    made.close()


def read_until(pty: Pty, text: bytes) -> bytes:
    output = b""
    while text not in output:
        data = pty.read(4096)
        assert data, output
        output += data
    return output


def test_echo_and_size(pty: Pty) -> None:
    pty.write(b"echo $((6 * 7))\n")
    read_until(pty, b"42")
    pty.write(b"stty size\n")
    read_until(pty, b"30 100")
    pty.resize(132, 50)
    pty.write(b"stty size\n")
    read_until(pty, b"50 132")
    assert pty.exit_code() is None
    pty.write(b"exit 5\n")
    while pty.read(4096):
        pass
    wait_until(lambda: pty.exit_code() == 5)


def test_closing_wakes_a_reader_and_ends_the_shell(
    client: DockerClient, web: str, pty: Pty
) -> None:
    ended = threading.Event()

    def read() -> None:
        while pty.read(4096):
            pass
        ended.set()

    threading.Thread(target=read).start()
    wait_until(lambda: len(client.containers.processes(web)) == 3)
    pty.close()
    assert ended.wait(5)
    assert pty.read(10) == b""
    with pytest.raises(EngineUnreachable):
        pty.write(b"x")
    wait_until(lambda: len(client.containers.processes(web)) == 2)


def test_a_missing_program_is_reported(client: DockerClient, web: str) -> None:
    pty = open_pty(client.api, web, ("no-such-program",), 80, 24)
    read_until(pty, b"executable file not found")
    while pty.read(4096):
        pass
    assert pty.exit_code() in (126, 127)
    pty.close()
