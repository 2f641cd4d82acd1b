"""The Inside tab: layers, namespaces, limits, processes and security of a container.

Next: `load.py`, which loads them; `facts.py`, which computes them; `layers.py` and `ring.py`, which
paint them.
"""

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import plural, size, tr
from desktop.pages.containers.inside import facts
from desktop.pages.containers.inside.changes import ChangesDialog, ChangesLine
from desktop.pages.containers.inside.layers import LayerStack
from desktop.pages.containers.inside.limits import Limits
from desktop.pages.containers.inside.load import InsideLoader
from desktop.pages.containers.inside.processes import ProcessTree
from desktop.pages.containers.inside.ring import Ring, SpaceTable
from desktop.pages.containers.inside.security import Security
from desktop.pages.containers.stats.feed import StatsFeed
from desktop.pages.containers.tab import Tab
from desktop.stores.store import Delta
from desktop.widgets.basics import button, card, column, holder, label, line, row, scrolled
from engine.docker.types import ContainerState, StatsSample

NARROW = 900  # pixels below which the two columns stand one above the other


class InsideTab(Tab):
    def __init__(self, app: AppContext, key: str) -> None:
        super().__init__()
        self.app = app
        self.key = key
        self._stale = True
        self._is_shown = False
        self._sample: StatsSample | None = None
        self.loader = InsideLoader(app, key, self)
        self.loader.changed.connect(self._draw)
        self.feed = StatsFeed(app, key, self)
        self.feed.arrived.connect(self._take_samples)
        self.stack = LayerStack(app.theme, tr("Layers"))
        self.changes = ChangesLine(self._show_changes)
        self.processes = ProcessTree(app.theme)
        self.ring = Ring(app.theme)
        self.spaces = SpaceTable(app.theme)
        self.limits = Limits()
        self.problem = label("", "error", wrap=True)
        self.compare = button(
            tr("Find containers that share a namespace"), self.loader.compare, "link"
        )
        self.security = Security()
        self._lay_out()
        app.stores.containers.changed.connect(self._follow)
        app.stores.facts_changed.connect(self._draw)
        app.connection.changed.connect(self._reach)

    def shown(self) -> None:
        self._is_shown = True
        if self._stale:
            self.refresh()
        self._watch()

    def hidden(self) -> None:
        self._is_shown = False
        self.feed.stop()

    def leave(self) -> None:
        self.hidden()
        self.loader.stop()

    def refresh(self) -> None:
        self._stale = False
        self.loader.load()

    def _follow(self, delta: Delta) -> None:
        if self.key not in delta.changed:
            return
        self._stale = True
        if self._is_shown:
            self.refresh()
            self._watch()

    def _reach(self) -> None:
        """Read again after a failure, once the engine answers."""
        if self.app.connection.is_heard and self.loader.problem is not None:
            self._stale = True
            if self._is_shown:
                self.refresh()
        self._watch()

    def _watch(self) -> None:
        found = self.app.stores.containers.rows.get(self.key)
        is_up = found is not None and found.state.is_up and self.app.connection.is_heard
        if is_up and self._is_shown:
            self.feed.start()
        else:
            self.feed.stop()
            self._sample = None
            self._draw_limits()

    def _take_samples(self, samples: list[StatsSample]) -> None:
        before, self._sample = self._sample, samples[-1]
        self._draw_limits()
        if before is not None and before.processes != self._sample.processes:
            self.loader.load_processes()

    # Drawing

    def _draw(self) -> None:
        loader = self.loader
        self.problem.setVisible(loader.problem is not None)
        if loader.problem is not None:
            self.problem.setText(messages.told(loader.problem))
        if loader.detail is None:
            return
        self._draw_layers()
        self._draw_spaces()
        self._draw_limits()
        self._draw_processes()
        self.security.show_detail(loader.detail, self.app.stores.info)

    def _draw_layers(self) -> None:
        loader, detail = self.loader, self.loader.detail
        assert detail is not None
        sheets = facts.sheets(detail, loader.image, loader.changes, size)
        self.stack.show_sheets(sheets)
        self.changes.show_changes(loader.changes)
        if loader.image_is_gone:
            words = tr("the image no longer exists; its layers are unknown")
        elif loader.image is None:
            words = tr("reading…")
        else:
            count = sum(bool(one.diff_id or one.size) for one in loader.image.layers)
            words = plural(
                "{driver} of %n layers", "{driver} of %n layer", count + 1,
                driver=detail.storage_driver or tr("stack"),
            )  # fmt: skip
            if detail.size_root >= 0:
                words += f", {size(detail.size_root)}"
        self._layers_note.setText(f"· {words}")

    def _draw_spaces(self) -> None:
        loader, detail = self.loader, self.loader.detail
        assert detail is not None
        names = {row.id: row.name for row in self.app.stores.containers.rows.values()}
        found = facts.spaces(
            detail, loader.inodes, self.app.stores.info, names, loader.joined, loader.same
        )
        runtime = detail.runtime or "runc"
        below = tr("{runtime} · pid {pid}", runtime=runtime, pid=detail.pid)
        self.ring.show_spaces(found, detail.name, below if detail.pid else tr("not running"))
        self.spaces.show_spaces(found)
        self.compare.setVisible(bool(loader.inodes))
        self._spaces_note.setText(self._about_spaces())

    def _about_spaces(self) -> str:
        if self.loader.inodes:
            return "· " + tr("seven namespaces")
        running = self._state() is ContainerState.RUNNING
        return "· " + (tr("as configured") if running else tr("created at start"))

    def _state(self) -> ContainerState | None:
        found = self.app.stores.containers.rows.get(self.key)
        return found.state if found else None

    def _draw_limits(self) -> None:
        detail = self.loader.detail
        if detail is not None:
            self.limits.show_sample(self._sample, detail, self.app.stores.info)
            parent = detail.cgroup_parent
            self._limits_note.setText("· " + tr("cgroup {path}", path=parent) if parent else "")

    def _draw_processes(self) -> None:
        state = self._state()
        note = ""
        if not self.loader.processes:
            up = state is not None and state.is_up
            note = tr("Reading…") if up else tr("None: the container is not running.")
        self.processes.show_processes(self.loader.processes, note)
        count = len(self.loader.processes)
        self._processes_note.setText(f"· {count}" if count else "")

    def _show_changes(self) -> None:
        detail = self.loader.detail
        name = detail.name if detail else ""
        ChangesDialog(name, self.loader.changes or (), self).open()

    # Layout

    def _lay_out(self) -> None:
        self._layers_note, self._spaces_note = label("", "secondary"), label("", "secondary")
        self._limits_note, self._processes_note = label("", "secondary"), label("", "secondary")
        layers = card(column(self.stack, line(), self.changes, gap=10), 14)
        isolation = card(
            row(self.ring, column(1, self.spaces, self.compare, 1, gap=10), gap=16), 14
        )
        left = column(
            _heading(tr("File system"), self._layers_note), layers,
            _heading(tr("Processes"), self._processes_note),
            card(column(self.processes), 14), 1, gap=10,
        )  # fmt: skip
        right = column(
            _heading(tr("Isolation"), self._spaces_note), isolation,
            _heading(tr("Limits"), self._limits_note), card(column(self.limits), 14),
            self.security, 1, gap=10,
        )  # fmt: skip
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._columns.setSpacing(18)
        self._columns.addWidget(holder(left), 43)
        self._columns.addWidget(holder(right), 56)
        box = column(self.problem, self._columns)
        box.setContentsMargins(0, 8, 0, 0)
        content = QWidget()
        content.setLayout(box)
        self.problem.hide()
        area = scrolled(content)
        area.setAccessibleName(tr("Inside"))
        self.setFocusProxy(area)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._columns.setDirection(down if self.width() < NARROW else across)


def _heading(title: str, note: QLabel) -> QBoxLayout:
    made = row(label(title, "heading"), note, 1, gap=4)
    made.setContentsMargins(0, 6, 0, 0)
    return made
