"""All lists of the current engine, updated by its events.

Every (re)connection loads everything; after that, only what an event names.
"""

from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop.session.connection import Connection
from desktop.session.tasks import Tasks
from desktop.stores.store import Store
from engine.docker.types import (
    Container,
    DiskUse,
    EngineInfo,
    Event,
    Image,
    Network,
    Volume,
)
from engine.dockercli.contexts import DockerContext
from vm.errors import Problem

# Frequent events inside a container (health checks are execs), which change no row.
NOISE = ("exec_", "top", "attach", "resize", "archive-path", "extract-to-dir", "export", "copy")
# Events after which a network has other containers: its own events are only for running ones, and
# the event of a starting one precedes its address in the list of containers.
JOINS = ("create", "destroy", "rename", "start")


class EngineStores(QObject):
    """The four lists, and the engine's own information."""

    told = Signal(object)  # Event, one by one, after the lists were invalidated
    facts_changed = Signal()
    switched = Signal()  # after a switch to another engine, when the old rows are gone

    def __init__(self, tasks: Tasks, connection: Connection, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._connection = connection
        self.containers: Store[Container] = Store(
            tasks, lambda: connection.client.containers.list(), lambda row: row.id, self
        )
        self.images: Store[Image] = Store(
            tasks, lambda: connection.client.images.list(), lambda row: row.id, self
        )
        self.volumes: Store[Volume] = Store(
            tasks, lambda: connection.client.volumes.list(), lambda row: row.name, self
        )
        self.networks: Store[Network] = Store(
            tasks, lambda: connection.client.networks.list(), lambda row: row.id, self
        )
        self.info: EngineInfo | None = None
        self.disk: DiskUse | None = None
        self.is_counting = False
        self.not_counted: Problem | None = None  # why the last count failed
        self._was_heard = False
        self._context = connection.context
        connection.changed.connect(self._follow)
        connection.events.connect(self._take)
        connection.glimpsed.connect(self.containers.show_early)

    @property
    def all(self) -> tuple[Store[Container], Store[Image], Store[Volume], Store[Network]]:
        return self.containers, self.images, self.volumes, self.networks

    def refresh(self) -> None:
        """Load everything anew."""
        if self._connection.is_up:
            for store in self.all:
                store.load()
            self._load_info()

    def count_disk(self) -> None:
        """Request GET /system/df, which makes dockerd read every volume: one at a time."""
        if self._connection.is_up and not self.is_counting:
            self.is_counting, of = True, self._context
            self._tasks.quietly(
                lambda: self._connection.client.disk_use(),
                lambda disk: self._take_disk(of, disk, None),
                lambda problem: self._take_disk(of, self.disk, problem),
            )

    def users_of_image(self, image: Image) -> list[Container]:
        return [c for c in self.containers.rows.values() if c.image_id == image.id]

    def users_of_volume(self, name: str) -> list[Container]:
        return [c for c in self.containers.rows.values() if name in c.mounts]

    def _follow(self) -> None:
        if self._connection.context is not self._context:
            self._context = self._connection.context
            self._was_heard = False
            self.info = self.disk = self.not_counted = None
            self.is_counting = False
            for store in self.all:
                store.forget()
            self.facts_changed.emit()
            self.switched.emit()
        if self._connection.is_heard and not self._was_heard:
            self.refresh()
        self._was_heard = self._connection.is_heard

    def _load_info(self) -> None:
        of = self._context
        self._tasks.quietly(lambda: self._connection.client.info(), partial(self._take_info, of))

    def _take_info(self, of: DockerContext | None, info: EngineInfo) -> None:
        if of is self._context:
            self.info = info
            self.facts_changed.emit()

    def _take_disk(
        self, of: DockerContext | None, disk: DiskUse | None, problem: Problem | None
    ) -> None:
        if of is self._context:
            self.disk, self.not_counted, self.is_counting = disk, problem, False
            self.facts_changed.emit()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            for store in self._touched(event):
                store.invalidate()
            self.told.emit(event)

    def _touched(self, event: Event) -> tuple[Store[Any], ...]:
        match event.kind:
            case "container":
                noise = event.action.startswith(NOISE)
                if noise:
                    return ()
                joins = event.action in JOINS
                return (self.containers, self.networks) if joins else (self.containers,)
            case "image":
                return (self.images,)
            case "volume":
                moved = event.action in ("mount", "unmount")
                return () if moved else (self.volumes,)
            case "network":
                return self.networks, self.containers
        return ()
