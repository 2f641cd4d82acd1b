"""The current engine: its state, its start, its endpoint, its resource use.

Galley's own can be started and stopped here; others are read-only. Next: `cards.py`, `verbs.py`.
"""

from collections.abc import Callable

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QPushButton, QVBoxLayout, QWidget

from desktop.actions import containers, engine
from desktop.context import AppContext
from desktop.dialogs import images
from desktop.i18n.text import percent, plural, size, tip, tr
from desktop.pages.engine.cards import DiskCard, ReachCard, StartCard, machine_memory
from desktop.pages.engine.snapshots import SnapshotsCard
from desktop.pages.engine.verbs import Verbs, verbs
from desktop.pages.page import Page
from desktop.session.engine_state import engine_state
from desktop.stores.machine import MachineStore
from desktop.widgets.basics import button, column, holder, icon_button, label, row, scrolled
from desktop.widgets.chart.gauge import Gauge
from desktop.widgets.problem_card import ProblemCard
from desktop.widgets.statusbar import Dot
from vm.errors import Problem

NARROW = 760  # two cards are not beside each other below this


class EnginePage(Page):
    def __init__(self, app: AppContext) -> None:
        super().__init__(app, tr("Engine"))
        self._visible = False
        self._problems: tuple[Problem, ...] = ()
        self.dot = Dot(app.theme)
        self.word = label("")
        self.note = label("", "secondary", wrap=True)  # what the word means
        self.start = self._verb("start", tr("Start"), lambda: engine.start(app))
        self.restart = self._verb("restart", tr("Restart"), lambda: engine.restart(app))
        self.stop = self._verb("stop", tr("Stop"), lambda: engine.stop(app))
        self.header.addLayout(row(self.dot, self.word, gap=4))
        self.header.addStretch(1)
        for one in (self.start, self.restart, self.stop):
            self.header.addWidget(one)
        self.start_card = StartCard(app.theme)
        self.reach = ReachCard(lambda: engine.update_image(app), lambda: engine.update_title(app))
        self.memory = Gauge(tr("Memory"))
        self.cpu = Gauge(tr("CPU"))
        self.disk = DiskCard(self._count, self._free())
        self.snapshots = SnapshotsCard(app)
        self.machine = MachineStore(app.tasks, app.link, self)
        self._troubles = QVBoxLayout()
        self._troubles.setSpacing(12)
        self._lay_out()
        self._connect()

    def _verb(self, icon: str, text: str, do: Callable[[], object]) -> QPushButton:
        return icon_button(self.app.theme, icon, text, do, text=text, kind="")

    def _free(self) -> dict[str, Callable[[], object]]:
        """The ways to free space, by the name of what takes it."""
        app = self.app
        return {
            "images": lambda: images.ask_prune(app),
            "containers": lambda: containers.prune(app),
            "volumes": lambda: app.window.go("volumes"),
        }

    def _lay_out(self) -> None:
        whole = column(
            self.note,
            self._troubles,
            Pair(self.start_card, self.reach),
            Pair(self.memory, self.cpu),
            self.disk,
            self.snapshots,
            1,
            gap=16,
        )
        whole.setContentsMargins(24, 0, 24, 16)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.addWidget(scrolled(holder(whole)))

    def _connect(self) -> None:
        app = self.app
        app.link.changed.connect(self._show)
        app.connection.changed.connect(self._show)
        app.stores.facts_changed.connect(self._show)
        app.stores.containers.changed.connect(lambda _delta: self._show_containers())
        app.usage.changed.connect(lambda _ids: self._show_use())
        self.machine.changed.connect(self._show_use)

    # Page

    def shown(self) -> None:
        self._visible = True
        self.machine.watch(True)
        self.app.usage.watch([], all_matter=True)
        self._show()
        self._show_containers()

    def hidden(self) -> None:
        self._visible = False
        self.machine.watch(False)
        self.app.usage.watch([])

    def refresh(self) -> None:
        super().refresh()
        engine.reconnect(self.app)

    # Actions

    def _count(self) -> None:
        self.app.stores.count_disk()
        self.disk.show_counting(self.app.stores.is_counting)

    # State

    def _show(self) -> None:
        if not self._visible:
            return
        link, connection = self.app.link, self.app.connection
        state = engine_state(link, connection)
        self.dot.set_state(state.dot)
        self.word.setText(state.word)
        self.word.setToolTip(tip(state.text))
        self.note.setText(state.hint if state.answers else "")
        self.note.setVisible(bool(self.note.text()))
        self._show_verbs()
        machine = link.status.machine if link.status and connection.is_ours else None
        self.start_card.setVisible(connection.is_ours)
        self.start_card.show_machine(machine)
        self.reach.show_engine(link, connection, self.app.stores.info)
        stores = self.app.stores
        self.disk.show_machine(machine, stores.disk, stores.not_counted)
        self.disk.show_counting(stores.is_counting)
        self.disk.count.setVisible(connection.is_up)
        self.snapshots.setVisible(connection.is_ours)
        self.snapshots.show_engine(link.status)
        self._show_troubles()
        self._show_use()

    def _show_verbs(self) -> None:
        ours = self.app.connection.is_ours
        possible = verbs(self.app.link.status, self.app.link.requested) if ours else Verbs()
        for one, reason in (
            (self.start, possible.start),
            (self.restart, possible.restart),
            (self.stop, possible.stop),
        ):
            one.setVisible(ours)
            one.setEnabled(not reason)
            one.setToolTip(tip(reason))

    def _show_troubles(self) -> None:
        problems = self._all_problems()
        if problems == self._problems:
            return
        self._problems = problems
        while self._troubles.count():
            item = self._troubles.takeAt(0)
            card = item.widget() if item is not None else None
            if card is not None:
                card.hide()
                card.deleteLater()
        for problem in problems:
            self._troubles.addWidget(ProblemCard(self.app.theme, problem, *self._ways_out()))

    def _ways_out(self) -> list[QPushButton]:
        """Without an answer from the engine, the header's buttons are useless."""
        app = self.app
        match engine_state(app.link, app.connection).action:
            case "replace":
                words = tr("Restart the background process")
                return [button(words, lambda: engine.replace_supervisor(app))]
            case "retry":
                return [button(tr("Try again"), lambda: engine.reconnect(app))]
        return []

    def _all_problems(self) -> tuple[Problem, ...]:
        link, connection = self.app.link, self.app.connection
        if not connection.is_ours:
            broken = not connection.is_up and connection.problem
            return (connection.problem,) if broken and connection.problem else ()
        if link.status is None:
            return (link.problem,) if link.problem else ()
        return tuple(dict.fromkeys(link.status.problems))

    def _show_containers(self) -> None:
        if self._visible:
            self._show_use()

    def _show_use(self) -> None:
        if not self._visible:
            return
        rows = self.app.stores.containers.rows.values()
        up = sum(row.state.is_up for row in rows) if self.app.connection.is_up else 0
        total = self.app.usage.total() if up else None
        self._say_cpu(total[0] if total else None, up, len(rows))
        self._say_memory(total[1] if total else 0)

    def _say_cpu(self, cores: float | None, up: int, known: int) -> None:
        """`cores`: None while nothing was measured."""
        cpus = self._limits()[0]
        text = plural(
            "{up} of %n containers running.", "{up} of %n container running.", known, up=up
        )
        words = text if self.app.connection.is_up else tr("No containers are running.")
        if not cpus or cores is None:
            self.cpu.say(plural("%n CPUs", "%n CPU", cpus) if cpus else "", None, words)
            return
        share = percent(cores / cpus)
        figures = plural("{share} of %n CPUs", "{share} of %n CPU", cpus, share=share)
        self.cpu.say(figures, cores / cpus, words)

    def _say_memory(self, used: int) -> None:
        """`used`: 0 while nothing was measured."""
        memory, use = self._limits()[1], self.machine.latest
        if use is not None and memory and self.app.connection.is_ours:
            self.memory.say(*machine_memory(use, memory))
            return
        if not memory or not used:
            figures = tr("up to {size}", size=size(memory)) if memory else ""
            self.memory.say(figures, None, tr("Limit of the engine."))
            return
        self.memory.say(
            tr("{used} of {whole}", used=size(used), whole=size(memory)),
            used / memory,
            tr("Usage of running containers, relative to the engine's limits."),
        )

    def _limits(self) -> tuple[int, int]:
        """CPUs and bytes of memory; 0 where they are not known."""
        link, info = self.app.link, self.app.stores.info
        if self.app.connection.is_ours and link.status is not None:
            return link.status.machine.cpus, link.status.machine.memory_bytes
        return (info.cpus, info.memory) if info is not None else (0, 0)


class Pair(QWidget):
    """Two cards beside each other, equally wide, or below each other where that is too narrow."""

    def __init__(self, left: QWidget, right: QWidget) -> None:
        super().__init__()
        self._box = row(left, right, gap=16)
        self._box.setStretch(0, 1)
        self._box.setStretch(1, 1)
        self.setLayout(self._box)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        narrow = self.width() < NARROW
        way = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self._box.direction() != way:
            self._box.setDirection(way)
