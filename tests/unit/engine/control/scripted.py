"""A scripted engine for tests of the control server and its clients."""

import threading
from collections.abc import Callable

import msgspec

from engine.types import EngineHealth, EngineStatus, MachineUse, Reclaimed
from vm.errors import Cancelled, GalleyError
from vm.messages import Message
from vm.types import GuestDisk, GuestMemory, MachineState, Status


class ScriptedSnapshots:
    """Records the requests."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def create(self, name: str, *, memory: bool = False) -> None:
        self._note(f"create {name} memory={memory}")

    def restore(self, name: str, *, cold: bool = False) -> None:
        self._note(f"restore {name} cold={cold}")

    def delete(self, name: str) -> None:
        self._note(f"delete {name}")


class ScriptedImageUpdates:
    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def refresh(self) -> None:
        self._note("image.refresh")


class ScriptedEngine:
    """`start` blocks until `go` is set or `cancel` is called; `failure` is raised by `stop`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.called = threading.Condition()
        self.go = threading.Event()
        self.failure: Exception | None = None
        self.listeners: list[Callable[[EngineStatus], None]] = []
        self.resources = ScriptedResources()
        self._cancelled = False
        self._state = MachineState.STOPPED
        self._number = 0
        self.snapshots = ScriptedSnapshots(self._note)
        self.configuring = ScriptedDaemonConfig(self._note)
        self.image_updates = ScriptedImageUpdates(self._note)

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def open(self) -> None:
        self._note("open")

    def close(self) -> None:
        self._note("close")

    def status(self) -> EngineStatus:
        status = Status(self._state, "fake", cpus=self._number)
        return EngineStatus("0", "unix:///none", status, EngineHealth(False))

    def change(self, state: MachineState) -> None:
        """Publish a state. Each change has its own number, visible in `machine.cpus`."""
        self._state = state
        self._number += 1
        for listener in list(self.listeners):
            listener(self.status())

    def start(self, *, repair: bool = False) -> None:
        self._note(f"start repair={repair}")
        self.change(MachineState.STARTING)
        self.go.wait()
        if self._cancelled:
            self.change(MachineState.STOPPED)
            raise Cancelled(Message("", "The start was cancelled."))
        self.change(MachineState.RUNNING)

    def keep_awake(self) -> Callable[[], None]:
        self._note("keep_awake")
        return lambda: self._note("let go")

    def stop(self, *, cold: bool = False) -> None:
        self._note("stop")
        if self.failure is not None:
            raise self.failure

    def suspend(self) -> None:
        self._note("suspend")

    def restart(self) -> None:
        self._note("restart")

    def delete(self) -> None:
        self._note("delete")
        raise GalleyError(Message("", "No.", "Ask again."), details="because")

    def cancel(self) -> None:
        self._note("cancel")
        self._cancelled = True
        self.go.set()

    def reset(self) -> None:
        self._note("reset")

    def wait_called(self, call: str) -> None:
        with self.called:
            assert self.called.wait_for(lambda: call in self.calls, 10)

    def _note(self, call: str) -> None:
        with self.called:
            self.calls.append(call)
            self.called.notify_all()


class ScriptedDaemonConfig:
    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def daemon_config(self) -> str:
        self._note("daemon.get")
        return '{"debug": true}'

    def change_daemon_config(self, text: str) -> None:
        self._note(f"daemon.set {text}")


class ScriptedResources:
    """Constant resource use."""

    def use(self) -> MachineUse:
        return MachineUse(GuestMemory(5, 1, 2, 3, 4), 600, GuestDisk(70, 30, 20), 800)

    def reclaim_disk(self) -> Reclaimed:
        return Reclaimed(800, 500)


def padded(status: EngineStatus, size: int) -> EngineStatus:
    """The same status, `size` bytes bigger."""
    return msgspec.structs.replace(status, endpoint="x" * size)
