"""The program that a connection becomes the input and output of."""

import contextlib
import socket
import subprocess
from pathlib import Path

import pytest

from engine.bridge.unix import dial
from engine.guest.recipe import FILES
from tests.unit.engine.bridge.servers import wait_until

PATIENCE = 20.0
CHECKS = ("-Wall", "-Wextra", "-fsanitize=address,undefined")
DESCRIPTORS = 4  # input, output, errors, and the folder that `ls` reads


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("answer") / "answer"
    source = FILES / "source" / "answer.c"
    subprocess.run(["cc", "-O1", "-Werror", *CHECKS, "-o", made, source], check=True)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "s"


def reach(place: Path) -> socket.socket:
    """Its file is there a moment before it listens."""
    reached: list[socket.socket] = []

    def is_reached() -> bool:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            reached.append(dial(place, PATIENCE))
        return bool(reached)

    wait_until(is_reached, PATIENCE)
    return reached[0]


def test_who_connects_talks_with_the_program_and_nobody_else_does(
    answer: Path, place: Path
) -> None:
    script = 'read -r line; echo "heard $line"; ls /proc/self/fd | wc -l; exec cat'
    with subprocess.Popen([answer, place, "sh", "-c", script]) as program:
        wait_until(place.exists, PATIENCE)
        assert place.stat().st_mode & 0o777 == 0o700
        with reach(place) as client, client.makefile("rb") as said:
            client.sendall(b"one\n")
            assert said.readline() == b"heard one\n"
            assert int(said.readline()) == DESCRIPTORS
            with pytest.raises(OSError, match=r"refused|No such file"):
                dial(place, PATIENCE)
            client.shutdown(socket.SHUT_WR)
        assert program.wait(PATIENCE) == 0


def test_a_program_that_is_not_there(answer: Path, place: Path) -> None:
    words = [str(answer), str(place), "/nowhere"]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as program:
        reach(place).close()
        assert program.stderr is not None
        assert b"/nowhere: No such file" in program.stderr.read()
        assert program.wait(PATIENCE) == 1
