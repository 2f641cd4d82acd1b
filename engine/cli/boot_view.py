"""Shows the steps of a start: live on a terminal, one line per step elsewhere. The copy of a
snapshot is one step.

Next: `lifecycle.py`.
"""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine.cli.output import note
from engine.types import EngineStatus
from vm.types import BootStep, MachineState, SnapshotStep, SnapshotWork

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

DOING = {
    SnapshotStep.SUSPEND: "Suspending the machine",
    SnapshotStep.DISK: "Copying the disk",
    SnapshotStep.MEMORY: "Copying the memory",
    SnapshotStep.GO_ON: "Resuming the machine",
}


class View:
    """The common part: shows steps from the moment that the machine starts."""

    def __init__(self) -> None:
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, status: EngineStatus) -> None:
        """For `ControlClient.call`: what has changed. Before a restart there are old steps."""
        self._started = self._started or status.machine.state is MachineState.STARTING
        if status.snapshot_work is not None:
            self.show((BootStep(_doing(status.snapshot_work)),))
        elif self._started:
            self.show(status.machine.boot)

    def show(self, steps: tuple[BootStep, ...]) -> None: ...


class PlainView(View):
    """For logs and pipes: every finished step once, on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = 0

    def show(self, steps: tuple[BootStep, ...]) -> None:
        done = [step for step in steps if step.seconds is not None]
        self._shown = min(self._shown, len(done))  # a second attempt starts from nothing
        for step in done[self._shown :]:
            note(f"  {step.step}  {step.seconds:.1f} s")
        self._shown = len(done)


class LiveView(View):
    """For people: finished steps with their seconds, the one under way with a running clock."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: tuple[BootStep, ...] = ()
        self._began = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        self._live = Live(console=console, refresh_per_second=10, get_renderable=self._draw)
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, steps: tuple[BootStep, ...]) -> None:
        if len(steps) != len(self._steps):
            self._began = time.monotonic()
        self._steps = steps

    def _draw(self) -> "Table":
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column()
        table.add_column(justify="right", style="dim")
        for step in self._steps:
            table.add_row(*self._row(step))
        return table

    def _row(self, step: BootStep) -> tuple[str, str, str]:
        if step.seconds is not None:
            return "[green]✓[/]", step.step, f"{step.seconds:.1f} s"
        return "[yellow]•[/]", step.step, f"{time.monotonic() - self._began:.1f} s"


def _doing(work: SnapshotWork) -> str:
    doing = DOING[work.step]
    if not work.total_bytes:
        return doing
    return f"{doing}, {100 * work.done_bytes // work.total_bytes} %"


def boot_view() -> View:
    return LiveView() if sys.stderr.isatty() else PlainView()
