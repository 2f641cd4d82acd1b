"""When virtiofsd could soon open no more: of a process of our own that stands in for it."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.engine.bridge.servers import wait_until
from vm.backends.qemu import running, virtiofsd_monitor
from vm.backends.qemu.shares import virtiofsd
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
    monkeypatch.setattr(virtiofsd, "serving", lambda directory: {identity: 3})
    yield made
    made.end()


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    return MachineDir(tmp_path, tmp_path, tmp_path)


class Watch:
    """In a thread; `forgot` counts what was asked for, and `forget` is what comes of it."""

    def __init__(self, directory: MachineDir, forget: Callable[[], None] = lambda: None) -> None:
        self.lost: list[int] = []
        self.forgot: queue.Queue[bool] = queue.Queue()
        self.ended = threading.Event()
        self._forget = forget
        self._thread = threading.Thread(
            target=virtiofsd_monitor.watch,
            args=(directory, self.ended, self._work, self.lost.append),
        )
        self._thread.start()

    def _work(self) -> None:
        self._forget()
        self.forgot.put(True)

    def asks(self, within: float = 20) -> bool:
        try:
            return self.forgot.get(timeout=within)
        except queue.Empty:
            return False

    def has_ended(self, within: float = 20) -> bool:
        self._thread.join(within)
        return not self._thread.is_alive()

    def end(self) -> None:
        self.ended.set()
        assert self.has_ended()


def test_forget_is_called_before_the_limit(server: Server, directory: MachineDir) -> None:
    server.hold(10)
    watch = Watch(directory, lambda: server.hold(10))
    assert not watch.asks(0.3)
    for _ in range(3):
        server.hold(60)
        assert watch.asks()
    watch.end()


def test_forget_is_called_less_often_for_open_files(
    server: Server, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    plain = threading.Event.wait

    def wait(event: threading.Event, seconds: float | None = None) -> bool:
        if event is watch.ended and seconds is not None and seconds != virtiofsd_monitor.SETTLED:
            pauses.append(seconds)
        return plain(event, seconds)

    monkeypatch.setattr(virtiofsd_monitor, "REST", 0.2)
    monkeypatch.setattr(virtiofsd_monitor, "LONGEST", 0.4)
    server.hold(60)
    watch = Watch(directory)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", wait)
        for _ in range(5):
            assert watch.asks()
    watch.end()
    assert pauses[-2:] == [0.4, 0.4], "and never given up"


def test_it_is_over_once_it_has_ended(
    server: Server, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the machine, nothing is lost. Nobody has waited for it yet: it stays a zombie."""
    monkeypatch.setattr(virtiofsd_monitor, "ENDS", 0.0)
    directory.run.mkdir(exist_ok=True)
    directory.share_socket(3).touch()
    watch = Watch(directory)
    server.process.kill()
    assert watch.has_ended()
    assert watch.lost == []


def test_a_virtiofsd_that_ended_before_qemu_is_reported(
    server: Server, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when that was while nobody watched."""
    monkeypatch.setattr(virtiofsd_monitor, "ENDS", 0.0)
    monkeypatch.setattr(running, "find", lambda directory: "QEMU")
    directory.run.mkdir(exist_ok=True)
    for number in (2, 3):
        directory.share_socket(number).touch()
    watch = Watch(directory)
    wait_until(lambda: watch.lost == [2])
    server.process.kill()
    assert watch.has_ended()
    assert watch.lost == [2, 3]


def test_a_watch_can_be_ended(server: Server, directory: MachineDir) -> None:
    Watch(directory).end()


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
    watch = Watch(directory)
    assert watch.asks()
    watch.end()


def test_where_no_folder_is_shared_nothing_is_waited_for(directory: MachineDir) -> None:
    assert Watch(directory).has_ended()
