"""When virtiofsd could soon open no more: of a process of our own that stands in for it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vm.backends.qemu import crowd, virtiofsd
from vm.directory import MachineDir
from vm.host import process

# With a limit of 100, it opens as many files as each line says, in all.
SERVER = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
print("limited", flush=True)
held = []
for line in sys.stdin:
    while len(held) > int(line): os.close(held.pop())
    while len(held) < int(line): held.append(os.open("/", os.O_RDONLY))
    print("so it is", flush=True)
"""


class Server:
    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", SERVER], text=True, **pipes)  # type: ignore[call-overload]
        assert self.process.stdout.readline() == "limited\n"

    def hold(self, count: int) -> None:
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "so it is\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    identity = process.identify(made.process.pid)
    monkeypatch.setattr(virtiofsd, "of", lambda directory: iter([identity]))
    yield made
    made.end()


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    return MachineDir(tmp_path, tmp_path, tmp_path)


class Wait:
    """For a crowd, in a thread."""

    def __init__(self, directory: MachineDir, again: bool = False) -> None:
        self.told: list[bool] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=lambda: self.told.append(self._wait(again)))
        self._directory = directory
        self._thread.start()

    def _wait(self, again: bool) -> bool:
        return crowd.wait(self._directory, self.ended, again=again)

    def join(self, seconds: float = 20) -> list[bool]:
        self._thread.join(seconds)
        return self.told


def test_it_is_told_before_the_limit(server: Server, directory: MachineDir) -> None:
    server.hold(10)
    waiting = Wait(directory)
    assert waiting.join(0.3) == []
    server.hold(60)
    assert waiting.join() == [True]


def test_what_is_held_after_the_guest_has_forgotten_is_not_told_again(
    server: Server, directory: MachineDir
) -> None:
    server.hold(60)
    waiting = Wait(directory, again=True)
    assert waiting.join(0.6) == []
    server.hold(70)
    assert waiting.join(0.3) == []
    server.hold(90)
    assert waiting.join() == [True]


def test_room_that_comes_back_later_counts(server: Server, directory: MachineDir) -> None:
    server.hold(85)
    waiting = Wait(directory, again=True)
    assert waiting.join(0.6) == []
    server.hold(10)
    assert waiting.join(0.3) == []
    server.hold(60)
    assert waiting.join() == [True]


def test_nothing_is_told_once_it_has_ended(server: Server, directory: MachineDir) -> None:
    waiting = Wait(directory)
    server.end()
    assert waiting.join() == [False]


def test_who_waits_can_be_let_go(server: Server, directory: MachineDir) -> None:
    waiting = Wait(directory)
    waiting.ended.set()
    assert waiting.join() == [False]


def test_of_older_kernels_files_are_counted(
    server: Server, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hold(80)
    plain = os.stat

    def stat(path: str, *words: object, **more: object) -> object:
        if str(path).endswith("/fd"):
            return os.stat_result([0] * 10)
        return plain(path, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    assert Wait(directory).join() == [True]


def test_where_no_folder_is_shared_nothing_is_waited_for(directory: MachineDir) -> None:
    assert Wait(directory).join() == [False]
