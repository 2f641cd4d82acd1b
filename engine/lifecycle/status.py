"""Composes the engine's status from its parts, and publishes it after every change.

Next: `engine/types.py` (the value), `engine/control/session.py`, which sends it to clients.
"""

import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from engine import __version__
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.lifecycle.image_updates import ImageUpdates
from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.snapshots import Snapshots
from engine.ports.port_sync import PortSync
from engine.settings.store import SettingsStore
from engine.types import EngineStatus
from vm.errors import Problem
from vm.host.paths import Home
from vm.lifecycle.machine import Machine


class HasProblems(Protocol):
    """A part of the engine that reports what is wrong with it."""

    @property
    def problems(self) -> tuple[Problem, ...]: ...


class StatusSources(msgspec.Struct, frozen=True, kw_only=True):
    """`problems`: the parts that report some, in the order in which they are shown, after the
    machine's."""

    machine: Machine
    watch: EngineWatch
    ports: PortSync
    snapshots: Snapshots
    saver: ResourceSaver
    image_updates: ImageUpdates
    problems: tuple[HasProblems, ...]


class EngineStatusPublisher:
    """The parts call `publish`; `open` names them before the first of them does. Any thread."""

    def __init__(self, home: Home, settings: SettingsStore) -> None:
        self._home = home
        self._settings = settings
        self._sources: StatusSources
        self._listeners: list[Callable[[EngineStatus], None]] = []
        self._lock = threading.Lock()

    def open(self, sources: StatusSources) -> None:
        self._sources = sources

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """`listener` gets the status after every change, from any thread; it must not block."""
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = [kept for kept in self._listeners if kept is not listener]

        return unsubscribe

    def publish(self) -> None:
        status = self.status()
        for listener in self._listeners:
            listener(status)

    def status(self) -> EngineStatus:
        sources = self._sources
        machine, snapshots = sources.machine.status, sources.snapshots
        used = sources.machine.directory.data_disk_bytes()
        refusal = snapshots.no_memory()
        return EngineStatus(
            version=__version__,
            endpoint=f"unix://{self._home.docker_socket}",
            machine=msgspec.structs.replace(machine, disk_used_bytes=used),
            engine=sources.watch.health,
            ports=sources.ports.ports,
            problems=(
                *(problem for problem in (machine.problem, machine.notice) if problem),
                *(problem for part in sources.problems for problem in part.problems),
                *self._settings.current().problems,
            ),
            snapshots=snapshots.kept,
            snapshot_work=snapshots.work,
            auto_suspended=sources.saver.is_saving,
            image=sources.image_updates.status,
            no_memory=refusal.to_problem() if refusal else None,
        )
