"""A container's limits and its current use, as bars. Next: `processes.py`."""

from PySide6.QtWidgets import QGridLayout, QProgressBar, QWidget

from desktop.i18n.text import percent, size, tr
from desktop.widgets.basics import column, label, row
from engine.docker.types import ContainerDetail, EngineInfo, StatsSample

FULL = 1000


class Meter(QWidget):
    """A bar with its text: how much, and of what."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.used = label("–", "mono")
        self.whole = label("", "secondary")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setRange(0, FULL)
        self.bar.setValue(0)
        self.setLayout(column(row(label(title), 1, self.used, self.whole, gap=6), self.bar, gap=6))
        self.show_value("–", "", 0.0)

    def show_value(self, used: str, whole: str, share: float) -> None:
        self.used.setText(used)
        self.whole.setText(whole)
        self.bar.setValue(round(FULL * min(max(share, 0.0), 1.0)))
        self.bar.setAccessibleName(f"{self._title}: {used} {whole}".strip())


class Limits(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.memory = Meter(tr("Memory"))
        self.cpu = Meter(tr("CPU"))
        self.processes = Meter(tr("Processes"))
        self.disk = Meter(tr("Disk read + write"))
        self._last: StatsSample | None = None
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(12)
        for number, meter in enumerate((self.memory, self.cpu, self.processes, self.disk)):
            grid.addWidget(meter, number // 2, number % 2)
            grid.setColumnStretch(number % 2, 1)

    def show_sample(
        self, now: StatsSample | None, detail: ContainerDetail, info: EngineInfo | None
    ) -> None:
        """None: it does not run, so that only the limits are known."""
        spec = detail.spec
        before, self._last = self._last, now
        memory = now.memory if now else 0
        room = spec.memory or (info.memory if info else 0)
        self.memory.show_value(
            size(memory) if now else "–",
            tr("of {limit}", limit=size(spec.memory)) if spec.memory else tr("(no limit)"),
            memory / room if room else 0.0,
        )
        cores = spec.cpus or float(info.cpus if info else 0)
        self.cpu.show_value(
            percent(now.cpu) if now else "–",
            _of_cores(spec.cpus),
            now.cpu / cores if now and cores else 0.0,
        )
        most = detail.pids_limit
        self.processes.show_value(
            str(now.processes) if now else "–",
            tr("of {limit}", limit=most) if most else tr("(no limit)"),
            now.processes / most if now and most else 0.0,
        )
        flow = _flow(now, before)
        text = "–" if flow is None else tr("{size}/s", size=size(flow))
        self.disk.show_value(text, tr("(no limit)"), 0.0)


def _of_cores(cpus: float) -> str:
    if not cpus:
        return tr("(no limit)")
    if cpus < 1:
        return tr("of {share} of one core", share=percent(cpus, 0))
    return tr("of one core") if cpus == 1 else tr("of {n} cores", n=f"{cpus:g}")


def _flow(now: StatsSample | None, before: StatsSample | None) -> float | None:
    """Bytes a second between two samples."""
    if now is None or before is None or now.time <= before.time:
        return None
    grown = now.disk_read + now.disk_written - before.disk_read - before.disk_written
    return max(0, grown) / (now.time - before.time)
