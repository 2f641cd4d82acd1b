"""Loads how a container is made, part by part.

Each part has its own request and its own error: what has arrived is shown while the rest is
loading. Outdated answers are dropped. Next: `tab.py`.
"""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec
from PySide6.QtCore import QObject, Signal

from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.pages.containers.inside.facts import JOINS
from desktop.session.tasks import Task
from engine.docker.cancel import Cancel
from engine.docker.types import (
    Change,
    ContainerDetail,
    ContainerProcess,
    ContainerState,
    ImageDetail,
    Namespace,
)
from vm.errors import Cancelled, EngineRefused, Problem
from vm.messages import Message

MOST_OTHERS = 100  # containers that are checked for shared namespaces

type Sharers = Mapping[str, tuple[str, ...]]  # kind of namespace → names


class InsideLoader(QObject):
    """What has been loaded. `changed` is emitted after each answer."""

    changed = Signal()

    def __init__(self, app: AppContext, key: str, parent: QObject) -> None:
        super().__init__(parent)
        self.app = app
        self.key = key
        self.detail: ContainerDetail | None = None
        self.image: ImageDetail | None = None
        self.changes: tuple[Change, ...] | None = None
        self.processes: tuple[ContainerProcess, ...] = ()
        self.inodes: tuple[Namespace, ...] = ()
        self.joined: Sharers = {}
        self.same: Sharers = {}
        self.problem: Problem | None = None
        self.image_is_gone = False
        self._cancel = Cancel()

    def load(self) -> None:
        self._cancel.set()
        self._cancel = cancel = Cancel()
        key = self.key
        api = self.app.connection
        self._ask(cancel, lambda: api.client.containers.detail(key), self._take_detail)
        self._ask(cancel, lambda: api.client.containers.changes(key), self._take_changes)
        self._ask(cancel, lambda: api.client.containers.detail(key, size=True), self._take_sizes)
        row = self.app.stores.containers.rows.get(key)
        if row is not None and row.state is ContainerState.RUNNING:
            self._ask(cancel, lambda: api.client.containers.namespaces(key), self._take_inodes)
        else:
            self.inodes, self.same = (), {}
        if row is not None and row.state.is_up:
            self.load_processes()
            self._ask(cancel, partial(self._find_joined, self._others(), cancel), self._take_joined)
        else:
            self.processes, self.joined = (), {}

    def load_processes(self) -> None:
        api, key = self.app.connection, self.key
        self._ask(self._cancel, lambda: api.client.containers.processes(key), self._take_processes)

    def stop(self) -> None:
        self._cancel.set()

    def compare(self) -> Task:
        """Find containers with the same namespaces, by looking into the other running ones."""
        others = {
            row.id: row.name
            for row in self.app.stores.containers.rows.values()
            if row.state is ContainerState.RUNNING and row.id != self.key
        }
        own = {one.kind: one.inode for one in self.inodes}

        def work(task: Task) -> dict[str, tuple[str, ...]]:
            found: dict[str, tuple[str, ...]] = {}
            api = self.app.connection.client.containers
            for number, (key, name) in enumerate(others.items()):
                task.report(tr("Inspecting {name}", name=name), number / len(others))
                try:
                    spaces = api.namespaces(key)
                except EngineRefused:
                    continue  # it has ended meanwhile
                for one in spaces:
                    if own.get(one.kind) == one.inode:
                        found[one.kind] = (*found.get(one.kind, ()), name)
            return found

        return self.app.tasks.start(tr("Compare namespaces"), work, self._take_same)

    # Inside

    def _ask[Result](
        self, cancel: Cancel, work: Callable[[], Result], take: Callable[[Result], None]
    ) -> None:
        def done(result: Result) -> None:
            if not cancel.is_set:
                take(result)
                self.changed.emit()

        def failed(problem: Problem) -> None:
            if not cancel.is_set and self.detail is None:
                self.problem = problem
                self.changed.emit()

        self.app.tasks.quietly(work, done, failed)

    def _take_detail(self, detail: ContainerDetail) -> None:
        self.problem = None
        old = self.detail
        self.detail = detail if old is None else _with_sizes(detail, old)
        if self.image is None or self.image.id != detail.image_id:
            connection, image = self.app.connection, detail.image_id
            self.app.tasks.quietly(
                lambda: connection.client.images.detail(image),
                partial(self._take_image, self._cancel),
                partial(self._miss_image, self._cancel),
            )

    def _take_image(self, cancel: Cancel, image: ImageDetail) -> None:
        if not cancel.is_set:
            self.image, self.image_is_gone = image, False
            self.changed.emit()

    def _miss_image(self, cancel: Cancel, _problem: Problem) -> None:
        if not cancel.is_set:
            self.image_is_gone = True
            self.changed.emit()

    def _take_sizes(self, detail: ContainerDetail) -> None:
        self.problem, self.detail = None, detail

    def _take_changes(self, changes: tuple[Change, ...]) -> None:
        self.changes = changes

    def _take_processes(self, processes: tuple[ContainerProcess, ...]) -> None:
        self.processes = processes

    def _take_inodes(self, inodes: tuple[Namespace, ...]) -> None:
        self.inodes = inodes

    def _take_joined(self, joined: Sharers) -> None:
        self.joined = joined

    def _take_same(self, same: Sharers) -> None:
        if not self._cancel.is_set:
            self.same = same
            self.changed.emit()

    def _others(self) -> dict[str, str]:
        rows = self.app.stores.containers.rows.values()
        up = {row.id: row.name for row in rows if row.state.is_up and row.id != self.key}
        return dict(list(up.items())[:MOST_OTHERS])

    def _find_joined(self, others: dict[str, str], cancel: Cancel) -> Sharers:
        """Containers that are configured to use a namespace of this one."""
        found: dict[str, tuple[str, ...]] = {}
        api = self.app.connection.client.containers
        for key, name in others.items():
            if cancel.is_set:
                raise Cancelled(Message("", tr("The comparison was cancelled.")))
            try:
                modes = api.detail(key).modes
            except EngineRefused:
                continue  # deleted meanwhile
            for kind, mode in modes:
                reference = mode.removeprefix(JOINS)
                if mode.startswith(JOINS) and self.key.startswith(reference):
                    found[kind] = (*found.get(kind, ()), name)
        return found


def _with_sizes(new: ContainerDetail, old: ContainerDetail) -> ContainerDetail:
    """The new detail with the old sizes, until these are counted again."""
    return msgspec.structs.replace(new, size_rw=old.size_rw, size_root=old.size_root)
