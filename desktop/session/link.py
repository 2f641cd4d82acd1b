"""The window's line to the supervisor: what the machine does, and what is asked of it.

A thread listens for snapshots; when the supervisor goes away another one is started, which finds
the machine as it is. A request is a task with a conversation of its own, so that a long start never
holds up a short question.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop.i18n.engine_words import engine_says
from desktop.i18n.text import tr
from desktop.session.tasks import Task, Tasks
from engine.dockercli.contexts import this_home
from engine.types import Snapshot
from vm.errors import Cancelled, GalleyError, Problem
from vm.types import MachineState, SnapshotStep

if TYPE_CHECKING:  # the control socket's end is loaded by its thread, after the first picture
    from engine.control.client import ControlClient
    from engine.settings.store import SettingsStore

CANCELLABLE = ("start", "restart", "snapshots.create", "snapshots.restore")
PATIENCE = (0.2, 1.0, 5.0, 30.0)  # seconds between attempts to have a supervisor


class Link(QObject):
    """`snapshot` is the latest, or None while there is no supervisor; `problem` says why."""

    changed = Signal()

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = this_home()
        self.snapshot: Snapshot | None = None
        self.problem: Problem | None = None
        self._tasks = tasks
        self._ended = threading.Event()
        self._again = threading.Event()
        self._client: ControlClient | None = None

    @property
    def state(self) -> MachineState | None:
        return self.snapshot.machine.state if self.snapshot else None

    @property
    def put_away(self) -> bool:
        """The machine is on the disk, and its first use brings it back."""
        return self.snapshot is not None and self.snapshot.put_away

    def open(self) -> None:
        threading.Thread(target=self._listen, name="link", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._again.set()
        if self._client is not None:
            self._client.close()

    def retry(self) -> None:
        """Do not wait any longer before the next attempt."""
        self._again.set()

    def start_engine(self, failed: Callable[[Problem], object] | None = None) -> Task:
        """`failed` as in `Tasks.start`."""
        return self._call(tr("Start the engine"), "start", failed=failed)

    def stop_engine(self, done: Callable[[object], object] | None = None) -> Task:
        return self._call(tr("Stop the engine"), "stop", done=done)

    def restart_engine(self) -> Task:
        return self._call(tr("Restart the engine"), "restart")

    def delete_machine(self) -> Task:
        return self._call(tr("Delete the virtual machine"), "delete")

    def create_snapshot(
        self,
        name: str,
        memory: bool,
        done: Callable[[object], object],
        failed: Callable[[Problem], object],
    ) -> Task:
        """The machine runs on meanwhile; with its memory it is suspended, and goes on."""
        title = tr("Create the snapshot {name}", name=name)
        params = {"name": name, "memory": memory}
        return self._call(title, "snapshots.create", params, done, failed)

    def restore_snapshot(self, name: str, cold: bool, done: Callable[[object], object]) -> Task:
        """The machine is stopped for it, and started again where it was running; `cold`: without
        the memory in the snapshot."""
        title = tr("Go back to the snapshot {name}", name=name)
        return self._call(title, "snapshots.restore", {"name": name, "cold": cold}, done)

    def delete_snapshot(self, name: str) -> Task:
        title = tr("Delete the snapshot {name}", name=name)
        return self._call(title, "snapshots.delete", {"name": name})

    def replace_supervisor(self) -> Task:
        """End the one that runs, of whatever version, and start ours; the machine runs on."""

        def work(_task: Task) -> None:
            from engine.client.launch import restart_supervisor

            restart_supervisor(self.home).close()

        title = tr("Restart Galley's background process")
        return self._tasks.start(title, work, lambda _none: self.retry())

    def set_daemon_config(
        self,
        text: str,
        done: Callable[[object], object],
        failed: Callable[[Problem], object],
    ) -> Task:
        """dockerd validates it, then starts again with it, or as before."""
        return self._call(tr("Apply daemon.json"), "daemon.set", {"text": text}, done, failed)

    def reset(self, done: Callable[[object], object]) -> Task:
        """No machine, no settings; then a new background process, for this one has read them."""

        def work(task: Task) -> None:
            from engine.client.launch import ensure_supervisor, restart_supervisor

            with ensure_supervisor(self.home) as client, task.cancel.closing(client.close):
                client.call("reset")
            restart_supervisor(self.home).close()

        return self._tasks.start(tr("Reset Galley"), work, done)

    def set_setting(
        self,
        name: str,
        value: object,
        done: Callable[[object], object],
        failed: Callable[[Problem], object] | None = None,
    ) -> Task:
        title = tr("Change the setting {name}", name=name)
        params = {"name": name, "value": value}
        return self._change(
            title, "settings.set", params, lambda store: store.set(name, value), done, failed
        )

    def unset_setting(
        self,
        name: str,
        done: Callable[[object], object],
        failed: Callable[[Problem], object] | None = None,
    ) -> Task:
        title = tr("Reset the setting {name}", name=name)
        return self._change(
            title, "settings.unset", {"name": name}, lambda store: store.unset(name), done, failed
        )

    def _change(
        self,
        title: str,
        method: str,
        params: object,
        alone: Callable[["SettingsStore"], object],
        done: Callable[[object], object],
        failed: Callable[[Problem], object] | None,
    ) -> Task:
        """A setting may be what keeps the supervisor from coming up: without one it is written
        here, as the command line does, and then another attempt is worth it."""

        def work(_task: Task) -> None:
            from engine.client.launch import connect_only
            from engine.settings.store import SettingsStore

            client = connect_only(self.home)
            if client is None:
                alone(SettingsStore(self.home))
                self.retry()
                return
            with client:
                client.call(method, params)

        return self._tasks.start(title, work, done, failed)

    def _call(
        self,
        title: str,
        method: str,
        params: object = None,
        done: Callable[[object], object] | None = None,
        failed: Callable[[Problem], object] | None = None,
    ) -> Task:
        def work(task: Task) -> None:
            from engine.client.launch import ensure_supervisor

            with ensure_supervisor(self.home) as client, task.cancel.closing(client.close):
                try:
                    client.call(method, params, partial(_report, task))
                except GalleyError:
                    if task.cancel.is_set and method in CANCELLABLE:
                        self._cancel()
                    task.cancel.check()
                    raise

        return self._tasks.start(title, work, done, failed)

    def _cancel(self) -> None:
        from engine.client.launch import connect_only

        client = connect_only(self.home)
        if client is not None:
            with client:
                client.call("cancel")

    def _listen(self) -> None:
        from engine.client.launch import ensure_supervisor

        attempt = 0
        while not self._ended.is_set():
            try:
                with ensure_supervisor(self.home) as client:
                    self._client = client
                    for seen in client.snapshots():
                        attempt = 0
                        self._tell(seen, None)
            except Cancelled:
                pass
            except GalleyError as error:
                self._tell(None, error.to_problem())
            self._client = None
            self._again.wait(PATIENCE[min(attempt, len(PATIENCE) - 1)])
            attempt += 1
            self._again.clear()

    def _tell(self, seen: Snapshot | None, problem: Problem | None) -> None:
        def take() -> None:
            self.snapshot, self.problem = seen, problem
            self.changed.emit()

        if not self._ended.is_set():
            self._tasks.bell.ring(take)


def _report(task: Task, seen: Snapshot) -> None:
    work = seen.snapshot_work
    if work is None:
        task.report(boot_step(seen))
    elif work.total_bytes:
        task.report(snapshot_step(work.step), work.done_bytes / work.total_bytes)
    else:
        task.report(snapshot_step(work.step))


def snapshot_step(step: SnapshotStep) -> str:
    match step:
        case SnapshotStep.SUSPEND:
            return tr("Putting the machine on the disk")
        case SnapshotStep.DISK:
            return tr("Copying the disk")
        case SnapshotStep.MEMORY:
            return tr("Copying the memory")
        case SnapshotStep.GO_ON:
            return tr("Letting the machine go on")


def boot_step(seen: Snapshot) -> str:
    """What a start is doing now, in the words of the boot; "" when nothing is under way."""
    under_way = [step.step for step in seen.machine.boot if step.seconds is None]
    return engine_says(under_way[-1]) if under_way else ""
