"""The parts of the engine's page.

Each has `show_...`, which gets its data; none requests anything itself.
"""

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QGridLayout

from desktop.i18n import messages
from desktop.i18n.text import moment, seconds, size, tip, tr
from desktop.session.connection import Connection
from desktop.session.engine_state import runs_on
from desktop.session.image_words import image_age, image_checked, image_news
from desktop.session.link import Link
from desktop.theme.theme import Theme
from desktop.widgets.basics import button, column, label, row
from desktop.widgets.chart.gauge import Gauge
from desktop.widgets.chart.timeline import Timeline, total
from desktop.widgets.copy_line import CopyLine
from engine.docker.types import DiskUse, EngineInfo
from engine.types import EngineStatus, MachineUse
from vm.errors import Problem
from vm.types import MachineState, Status

type Do = Callable[[], object]


class Card(QFrame):
    """A white box with a heading."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.heading = label(title, "heading")
        self.box = column(gap=8)
        self.box.setContentsMargins(16, 14, 16, 14)
        self.setLayout(self.box)


class StartCard(Card):
    """The steps of the start that is under way, or of the last one."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(tr("Last start"))
        self.taken = label("", "secondary")
        self.timeline = Timeline(theme)
        self.words = label("", "secondary", wrap=True)
        self.box.addLayout(row(self.heading, self.taken, 1))
        self.box.addWidget(self.timeline)
        self.box.addWidget(self.words)
        self.box.addStretch(1)

    def show_machine(self, machine: Status | None) -> None:
        """A stopped machine has no steps: those that were seen last stay."""
        starting = machine is not None and machine.state is MachineState.STARTING
        failed = machine is not None and machine.state is MachineState.FAILED
        boot = machine.boot if machine is not None else ()
        if boot or starting:
            self.timeline.show_boot(boot, failed)
        self.heading.setText(tr("Starting") if starting else tr("Last start"))
        shown = self.timeline.boot
        whole = bool(shown) and not starting and not failed
        self.taken.setText(seconds(total(shown)) if whole else "")
        self.words.setText(self._words(machine, bool(shown)))
        self.words.setVisible(bool(self.words.text()))

    def _words(self, machine: Status | None, has_steps: bool) -> str:
        if machine is not None and machine.state.is_up and machine.started_at:
            return tr("Ready since {time}.", time=moment(machine.started_at))
        return "" if has_steps else tr("Every step of the next start is shown here with its time.")


class ReachCard(Card):
    """The engine's endpoint, version, system and guest image."""

    def __init__(self, update: Do, update_title: Callable[[], str]) -> None:
        super().__init__(tr("Connection"))
        self.socket = CopyLine(tr("Socket"))
        self.context = CopyLine(tr("Context"))
        self.engine = CopyLine(tr("Engine"))
        self.backend = CopyLine(tr("Backend"))
        self.system = CopyLine(tr("System"))
        self.image = CopyLine(tr("Guest image"))
        self.news = label("", "secondary")
        self._update_title = update_title
        self.update_image = button(update_title(), update, "link")
        self.reason = label("", "secondary", wrap=True, select=True)
        self.box.setSpacing(2)
        self.box.addWidget(self.heading)
        for one in (
            self.socket,
            self.context,
            self.engine,
            self.system,
            self.image,
            self.backend,
        ):
            self.box.addWidget(one)
        self.box.addWidget(self.reason)
        self.box.addLayout(row(self.news, 1, self.update_image))
        self.box.addStretch(1)

    def show_engine(self, link: Link, connection: Connection, info: EngineInfo | None) -> None:
        context = connection.context
        self.socket.say(context.endpoint.url if context else "")
        self.context.say(context.name if context else "")
        status = link.status if connection.is_ours else None
        self.engine.say(*_engine_words(status, info))
        self.system.say(_system_words(info))
        image = status.image if status else None
        self.image.say(image_age(image) if image else "")
        self.image.setToolTip(tip(image_checked(image) if image else ""))
        self.news.setText(image_news(image) if image else "")
        self.update_image.setText(self._update_title())
        self.update_image.setAccessibleName(self._update_title())
        self.update_image.setVisible(bool(self.news.text()))
        self._show_backend(status)

    def _show_backend(self, status: EngineStatus | None) -> None:
        accelerator = status.machine.accelerator if status else None
        words = runs_on(status.machine) if status else ""
        reason = messages.said(accelerator.text) if accelerator else ""
        self.backend.say(words, f"{words}: {reason}" if reason else words)
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))


def machine_memory(use: MachineUse, limit: int) -> tuple[str, float, str]:
    """Figures, share and text of the machine's memory use, out of `limit` bytes."""
    held = use.memory_on_host
    figures = tr("{used} of {whole}", used=size(held), whole=size(limit))
    inside, containers = use.memory.total - use.memory.available, use.memory.containers
    words = tr(
        "Memory of this computer in use. Inside the machine: {inside}, by containers: "
        "{containers}.",
        inside=size(inside),
        containers=size(containers),
    )
    return figures, held / limit, words


def _engine_words(status: EngineStatus | None, info: EngineInfo | None) -> tuple[str, str]:
    """The shown text, and the copied one."""
    health = status.engine if status else None
    if health is not None and health.reachable:
        version, api = health.version, health.api
    elif info is not None:
        version, api = info.version, info.api
    else:
        return "", ""
    return tr("Docker {version} · API {api}", version=version, api=api), version


def _system_words(info: EngineInfo | None) -> str:
    if info is None:
        return ""
    return " · ".join(filter(None, (info.os, info.kernel, info.architecture, info.storage_driver)))


class DiskCard(Gauge):
    """The machine's disk use on this computer, and, once counted, its parts."""

    def __init__(self, count: Do, free: dict[str, Do]) -> None:
        self.count = button(
            tr("Calculate"), count, "link", name=tr("Calculate disk usage of the engine")
        )
        super().__init__(tr("Disk"), self.count)
        self._free = free
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(3, 1)
        self.box.addLayout(self._grid)
        self._shown: DiskUse | None = None

    def show_machine(
        self, machine: Status | None, disk: DiskUse | None, not_counted: Problem | None
    ) -> None:
        """`not_counted`: why the last count failed; dockerd may refuse one."""
        words = tr("The engine could not calculate it.") if not_counted else self._hint(disk)
        self.words.setToolTip(tip(messages.summary(not_counted) if not_counted else ""))
        if machine is None or not machine.disk_bytes:
            self.say("", None, words)
        else:
            used, whole = machine.disk_used_bytes, machine.disk_bytes
            figures = tr("{used} of {whole}", used=size(used), whole=size(whole))
            self.say(figures, used / whole, words)
        if disk is not self._shown:
            self._shown = disk
            self._fill(disk)

    def show_counting(self, is_counting: bool) -> None:
        """dockerd walks every volume, which takes its time."""
        self.count.setEnabled(not is_counting)
        if is_counting:
            self.count.setText(tr("Calculating…"))
        else:
            self.count.setText(tr("Calculate") if self._shown is None else tr("Recalculate"))

    def _hint(self, disk: DiskUse | None) -> str:
        if disk is not None:
            held = disk.images + disk.containers + disk.volumes + disk.build_cache
            return tr("The engine uses {size}.", size=size(held))
        return tr("Disk usage of images, volumes and the build cache is calculated on request.")

    def _fill(self, disk: DiskUse | None) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        if disk is None:
            return
        for number, (key, title, held, idle) in enumerate(_parts(disk)):
            self._grid.setRowMinimumHeight(number, 24)  # with a button or without
            self._grid.addWidget(label(title), number, 0)
            self._grid.addWidget(label(size(held), "mono"), number, 1)
            words = tr("{size} can be freed", size=size(idle)) if idle else ""
            self._grid.addWidget(label(words, "secondary"), number, 2)
            if idle and key in self._free:
                name = tr("Clean up: {what}", what=title)
                free = button(tr("Clean up…"), self._free[key], "link", name=name)
                self._grid.addWidget(free, number, 4)


def _parts(disk: DiskUse) -> tuple[tuple[str, str, int, int], ...]:
    return (
        ("images", tr("Images"), disk.images, disk.reclaimable_images),
        ("containers", tr("Containers"), disk.containers, disk.reclaimable_containers),
        ("volumes", tr("Volumes"), disk.volumes, disk.reclaimable_volumes),
        ("build_cache", tr("Build cache"), disk.build_cache, disk.reclaimable_build_cache),
    )
