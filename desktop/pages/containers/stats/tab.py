"""Charts of a container's resource use over the last five minutes.

It begins with what was read for the list. Every second it is read only while the tab is shown; what
was read stays until the view is closed.
Next: `desktop/widgets/chart/chart.py`.
"""

from collections.abc import Sequence

from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import percent, size, tr
from desktop.pages.containers.stats.feed import StatsFeed
from desktop.pages.containers.tab import Tab
from desktop.widgets.basics import label, scrolled
from desktop.widgets.chart.chart import GAP, Chart, Series
from desktop.widgets.chart.scale import bytes_scale, cores_scale, whole_scale
from engine.docker.types import ContainerState, StatsSample
from vm.errors import Problem


class StatsTab(Tab):
    def __init__(self, app: AppContext, key: str) -> None:
        super().__init__()
        self.app = app
        self.key = key
        self._last: StatsSample | None = None
        self._is_shown = False
        self.feed = StatsFeed(app, key, self)
        self.feed.arrived.connect(self._take)
        self.feed.failed.connect(self._fail)
        self.note = label("", "secondary", wrap=True)
        self._make_charts()
        self._lay_out()
        app.stores.containers.changed.connect(self._follow)
        app.connection.changed.connect(self._follow)

    def shown(self) -> None:
        self._is_shown = True
        self._follow()

    def hidden(self) -> None:
        self._is_shown = False
        self.feed.stop()

    def leave(self) -> None:
        self.hidden()

    def refresh(self) -> None:
        self._follow()

    def _make_charts(self) -> None:
        theme = self.app.theme
        self.cpu = Chart(theme, tr("CPU"), [Series(tr("CPU"), "accent")], _cores, cores_scale)
        self.memory = Chart(
            theme, tr("Memory"), [Series(tr("Memory"), "accent")], size, bytes_scale
        )
        self.network = Chart(
            theme,
            tr("Network"),
            [Series(tr("received"), "accent"), Series(tr("sent"), "paused")],
            _rate,
            bytes_scale,
        )
        self.disk = Chart(
            theme,
            tr("Disk"),
            [Series(tr("read"), "accent"), Series(tr("written"), "paused")],
            _rate,
            bytes_scale,
        )
        self.processes = Chart(
            theme, tr("Processes"), [Series(tr("Processes"), "accent")], _count, whole_scale
        )
        self.charts = (self.cpu, self.memory, self.network, self.disk, self.processes)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(12)
        grid.setContentsMargins(0, 0, 0, 0)
        for number, chart in enumerate(self.charts):
            frame = QFrame()
            frame.setProperty("kind", "card")
            inner = QVBoxLayout(frame)
            inner.setContentsMargins(1, 4, 1, 4)
            inner.addWidget(chart)
            wide = 2 if number == len(self.charts) - 1 else 1
            grid.addWidget(frame, number // 2, number % 2, 1, wide)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        content = QWidget()
        box = QVBoxLayout(content)
        box.setContentsMargins(0, 12, 0, 0)
        box.setSpacing(8)
        box.addWidget(self.note)
        box.addLayout(grid)
        box.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        area = scrolled(content)
        area.setAccessibleName(tr("Charts"))
        self.setFocusProxy(area)
        whole.addWidget(area)

    def _follow(self, _delta: object = None) -> None:
        """Read while the tab is shown and the container runs; else show the reason."""
        row = self.app.stores.containers.rows.get(self.key)
        if row is None or not self._is_shown:
            self.feed.stop()
            return
        if not self.app.connection.is_up:
            self.feed.stop()
            self._say(tr("The engine is not running."))
        elif self.app.connection.is_kept:
            self.feed.stop()
            self._say(tr("Resource Saver is active: no readings until the engine is used."))
        elif not row.state.is_up:
            self.feed.stop()
            self._say(tr("This container is not running: no readings."))
        else:
            paused = row.state is ContainerState.PAUSED
            self._say(tr("Paused: it keeps its memory and uses no CPU.") if paused else "")
            self._catch_up()
            self.feed.start()

    def _catch_up(self) -> None:
        """Add the readings that were taken for the list meanwhile."""
        if not self.feed.is_on:
            known = self._last.time if self._last else 0.0
            history = self.app.usage.history(self.key)
            self._take([sample for sample in history if sample.time > known])

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _fail(self, problem: Problem) -> None:
        self._say(messages.summary(problem))

    def _take(self, samples: Sequence[StatsSample]) -> None:
        row = self.app.stores.containers.rows.get(self.key)
        for sample in samples:
            before, self._last = self._last, sample
            self._add(sample, before)
        if row is not None and samples:
            self._set_limits(samples[-1])

    def _add(self, now: StatsSample, before: StatsSample | None) -> None:
        if before is None or not now.time - before.time > 0:
            return
        passed = now.time - before.time
        self.cpu.add(now.time, _grown(now.cpu_seconds, before.cpu_seconds) / passed)
        self.memory.add(now.time, now.memory)
        self.processes.add(now.time, now.processes)
        if passed > GAP:  # nothing was read: what flowed meanwhile is no rate of now
            return
        self.network.add(
            now.time,
            _grown(now.net_received, before.net_received) / passed,
            _grown(now.net_sent, before.net_sent) / passed,
        )
        self.disk.add(
            now.time,
            _grown(now.disk_read, before.disk_read) / passed,
            _grown(now.disk_written, before.disk_written) / passed,
        )

    def _set_limits(self, now: StatsSample) -> None:
        info = self.app.stores.info
        of_engine = info is None or now.memory_limit >= info.memory
        self.memory.limit = 0.0 if of_engine else float(now.memory_limit)
        self.processes.limit = float(now.process_limit if now.process_limit < 10_000 else 0)


def _grown[Count: (int, float)](now: Count, before: Count) -> Count:
    """Counters begin anew when the container does."""
    return now - before if now >= before else now


def _cores(value: float) -> str:
    return percent(value, 0 if value >= 0.1 or value == 0 else 1)


def _rate(value: float) -> str:
    return tr("{size}/s", size=size(value))


def _count(value: float) -> str:
    return str(round(value))
