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


def test_it_is_told_before_the_limit(server: Server, directory: MachineDir) -> None:
    server.hold(10)
    told: list[bool] = []
    waiting = threading.Thread(target=lambda: told.append(crowd.wait(directory)))
    waiting.start()
    waiting.join(0.3)
    assert told == []
    server.hold(80)
    waiting.join(20)
    assert told == [True]


def test_nothing_is_told_once_it_has_ended(server: Server, directory: MachineDir) -> None:
    server.end()
    assert crowd.wait(directory) is False


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
    assert crowd.wait(directory) is True


def test_where_no_folder_is_shared_nothing_is_waited_for(directory: MachineDir) -> None:
    assert crowd.wait(directory) is False
