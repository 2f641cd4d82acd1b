"""Traces a start: one file in Chrome's trace-event format, with guest and host together.

    with traced(engine, file): engine.start()

Open it in Perfetto or chrome://tracing. The host's part has the steps of the start, their notes,
and the log; the guest's has the lines of its console, placed by the uptime at their beginning. The
line with the shortest delay aligns the guest's clock with ours. Without a trace none of this runs.

The format: "Trace Event Format" of the Catapult project; times are microseconds from the beginning.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import msgspec

from engine.log_files import NOWHERE, read_on
from engine.types import EngineStatus
from vm.guest.console import CONSOLE_PREFIX
from vm.host.paths import write_atomic
from vm.types import BootStep

LINE = re.compile(rf"(?:\[ *(\d+\.\d+)\] )?{CONSOLE_PREFIX}(.*)")
GLANCE = 0.002  # seconds between two reads of the console: how well the clocks are aligned
FIRST = "kernel"  # the first line of every boot
KEPT = "template"  # the last line before a boot checkpoint was taken
HOST, STEPS, LOGGED = 1, 1, 2  # a process, and threads of it, as a viewer shows them


class Traceable(Protocol):
    """What is needed of `engine.engine.Engine`."""

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]: ...


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """`ph`: X has a duration, i is an instant, M names a process or thread."""

    name: str
    ph: str
    pid: int
    tid: int
    ts: float = 0.0
    dur: float = 0.0
    args: dict[str, str] = {}
    s: str = ""


class Trace(msgspec.Struct, frozen=True):
    traceEvents: tuple[Event, ...]  # noqa: N815 (the format's own name)
    displayTimeUnit: str = "ms"  # noqa: N815


class ConsoleLine(msgspec.Struct, frozen=True):
    """A line of the guest's console: when it arrived, and the guest's uptime in it (None: it has
    none), in seconds."""

    text: str
    seen: float
    uptime: float | None


@contextmanager
def traced(engine: Traceable, console_log: Path, file: Path) -> Iterator[None]:
    """Write `file`, also if the start fails. Raises HomeUnusable, DiskFull."""
    recorder = Recorder(console_log)
    logging.getLogger().addHandler(recorder)
    unsubscribe = engine.subscribe(recorder.see)
    recorder.begin()
    try:
        yield
    finally:
        unsubscribe()
        logging.getLogger().removeHandler(recorder)
        recorder.end()
        write_atomic(file, msgspec.json.encode(recorder.trace()), 0o644)


class Recorder(logging.Handler):
    """Records from `begin` to `end`; `trace` is the result."""

    def __init__(self, console: Path) -> None:
        super().__init__(logging.INFO)
        self._began = time.monotonic()
        self._console = console
        self._lines: list[ConsoleLine] = []
        self._steps: list[tuple[float, BootStep]] = []
        self._logged: list[tuple[float, str]] = []
        self._reachable = False
        self._boot: tuple[BootStep, ...] = ()
        self._finished = 0.0
        self._place = NOWHERE
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="trace", daemon=True)

    def begin(self) -> None:
        self._place = read_on(self._console, None)[1]  # what is there belongs to an earlier start
        self._watcher.start()

    def end(self) -> None:
        self._ended.set()
        self._watcher.join()
        self._finished = self._now()

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`."""
        self._logged.append((self._now(), f"{record.name}: {record.getMessage()}"))

    def see(self, status: EngineStatus) -> None:
        """Called by the engine, in the thread that makes the change."""
        boot, now = status.machine.boot, self._now()
        if boot and boot != self._boot:
            self._steps.append((now, boot[-1]))
        self._boot = boot
        if status.engine.reachable != self._reachable:
            self._reachable = status.engine.reachable
            word = "answers" if self._reachable else "does not answer"
            self._logged.append((now, f"dockerd {word}"))

    def trace(self) -> Trace:
        names = [
            _named("process_name", HOST, 0, "this computer"),
            _named("thread_name", HOST, STEPS, "steps"),
            _named("thread_name", HOST, LOGGED, "log"),
        ]
        logged = [
            Event(text, "i", HOST, LOGGED, _micro(when), s="t") for when, text in self._logged
        ]
        return Trace((*names, *self._spans(), *logged, *_guests(self._lines)))

    def _spans(self) -> Iterator[Event]:
        """One event from each change of the steps to the next; each note of a long step is one
        too."""
        last = (self._finished, BootStep(""))
        for (when, step), (end, _) in pairwise([*self._steps, last]):
            if step.seconds is None:
                yield Event(step.step, "X", HOST, STEPS, _micro(when), _micro(end - when))

    def _watch(self) -> None:
        held = b""
        while True:
            over = self._ended.is_set()
            data, place = read_on(self._console, self._place)
            if place[0] != self._place[0]:
                held = b""
            self._place = place
            *lines, held = (held + data).split(b"\n")
            now = self._now()
            for line in lines:
                if found := LINE.search(line.decode(errors="replace")):
                    up = float(found[1]) if found[1] else None
                    self._lines.append(ConsoleLine(found[2].strip(), now, up))
            if over:
                return
            self._ended.wait(GLANCE)

    def _now(self) -> float:
        return time.monotonic() - self._began


def _guests(lines: list[ConsoleLine]) -> Iterator[Event]:
    """A process for each boot. Each line ends the event that began with the line before. After a
    restore of a boot checkpoint, the lines before the checkpoint belong to an earlier start."""
    starts = [number for number, line in enumerate(lines) if line.text == FIRST]
    for count, (start, end) in enumerate(pairwise([*starts, len(lines)]), 1):
        console, pid = lines[start:end], HOST + count
        name = "guest" if count == 1 else f"guest, try {count}"
        yield _named("process_name", pid, 0, name)
        yield _named("thread_name", pid, 1, "console")
        offsets = [line.seen - line.uptime for line in console if line.uptime is not None]
        offset = min(offsets, default=0.0)
        before = offset if offsets else console[0].seen
        if before < 0:
            before, console = _since_checkpoint(console, offset)
        for line in console:
            when = line.seen if line.uptime is None else offset + line.uptime
            args = {"uptime": f"{line.uptime} s"} if line.uptime is not None else {}
            yield Event(line.text, "X", pid, 1, _micro(before), _micro(when - before), args)
            before = when


def _since_checkpoint(lines: list[ConsoleLine], offset: float) -> tuple[float, list[ConsoleLine]]:
    """The begin and the lines since a boot checkpoint was taken; all lines without one."""
    for number, line in enumerate(lines):
        if line.text == KEPT and line.uptime is not None:
            return offset + line.uptime, lines[number + 1 :]
    return offset, lines


def _named(what: str, pid: int, tid: int, name: str) -> Event:
    return Event(what, "M", pid, tid, args={"name": name})


def _micro(seconds: float) -> float:
    return round(seconds * 1e6, 1)
