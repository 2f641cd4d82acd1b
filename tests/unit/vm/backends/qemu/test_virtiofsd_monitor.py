"""Watches the open files of virtiofsd, here of a process that stands in for it."""

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

# Limits itself to 100 files, then keeps as many open as the last line of its stdin requests.
SERVER = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
print("limited", flush=True)
held = []
for line in sys.stdin:
    while len(held) > int(line): os.close(held.pop())
    while len(held) < int(line): held.append(os.open("/", os.O_RDONLY))
    print("done", flush=True)
"""


class Server:
    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", SERVER], text=True, **pipes)  # type: ignore[call-overload]
        assert self.process.stdout.readline() == "limited\n"

    def hold(self, count: int) -> None:
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

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
    """Runs the watch in a thread. It calls `forget`; `forgot` gets an entry for each call."""

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

    def forgets(self, within: float = 20) -> bool:
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
    assert not watch.forgets(0.3)
    for _ in range(3):
        server.hold(60)
        assert watch.forgets()
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
            assert watch.forgets()
    watch.end()
    assert pauses[-2:] == [0.4, 0.4], "it backs off, but does not give up"


def test_a_virtiofsd_that_ended_with_qemu_is_not_reported(
    server: Server, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not reaped yet, so it stays a zombie."""
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
    """Also one that ended before the watch began."""
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


def test_on_older_kernels_each_open_file_is_counted(
    server: Server, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hold(80)
    plain = os.stat

    def stat(path: str, *arguments: object, **more: object) -> object:
        if str(path).endswith("/fd"):
            return os.stat_result([0] * 10)
        return plain(path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    watch = Watch(directory)
    assert watch.forgets()
    watch.end()


def test_without_a_shared_folder_the_watch_ends_at_once(directory: MachineDir) -> None:
    assert Watch(directory).has_ended()
