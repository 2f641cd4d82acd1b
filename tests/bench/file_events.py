"""The time from an edit on this computer to the event in a container, and the lost events.

The floor is the same edits and the same watcher with a dockerd on this computer.
Next: `tests/e2e/watchers.py`.
"""

import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.e2e.watchers import WATCHER, Watcher, watcher_tar

IN_TIME = 10.0  # seconds after which an event is lost


def measure(lab: Lab) -> Iterator[Row]:
    edits = lab.times(1000, 50)
    ours = lab.shared / "events"
    ours.mkdir()
    theirs = Path(tempfile.mkdtemp(prefix="galley-bench-"))
    try:
        image = watcher_tar()
        lab.running().docker("import", "-", WATCHER, stdin=image)
        lab.native.docker("import", "-", WATCHER, stdin=image)
        watcher = _watch(lab.running().docker_host, ours)
        native = _watch(f"unix://{lab.native.socket}", theirs)
        taken, lost = _edit(watcher, ours, edits)
        floor, _ = _edit(native, theirs, edits)
        floor_ms = _percentile(floor, 95) * 1000
        yield row("file_events.p50", _percentile(taken, 50) * 1000, "ms", n=edits)
        yield row(
            "file_events.p95", _percentile(taken, 95) * 1000, "ms", n=edits, goal=at_most(500)
        )
        yield row("file_events.p95.native", floor_ms, "ms", n=edits)
        yield row("file_events.lost", lost, "edits", n=edits, goal=at_most(0))
        yield row(
            "file_events.lost.burst", _burst(watcher, ours, edits), "files", n=edits,
            goal=at_most(0),
        )  # fmt: skip
        watcher.close()
        native.close()
    finally:
        shutil.rmtree(ours)
        shutil.rmtree(theirs)


def _watch(docker_host: str, folder: Path) -> Watcher:
    """Starts a watcher and waits until it reports an event."""
    watcher = Watcher(docker_host, folder)
    for number in range(100):
        (folder / f"ready{number}").touch()
        if watcher.reports(f"CREATE /x/ready{number}", 0.3):
            return watcher
    raise AssertionError("the watcher reports no event")


def _edit(watcher: Watcher, folder: Path, edits: int) -> tuple[list[float], int]:
    """Edits a file in a subfolder of the watched one again and again; returns the seconds of each
    event and the number of lost events."""
    inner = folder / "in" / "ner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    while not watcher.reports("CLOSE_WRITE,CLOSE /x/in/ner/file", 0.3):
        (inner / "file").write_text("ready")
    taken: list[float] = []
    for number in range(edits):
        watcher.forget()
        began = time.monotonic()
        (inner / "file").write_text(str(number))
        if watcher.reports("MODIFY /x/in/ner/file", IN_TIME):
            taken.append(watcher.wait_for("MODIFY /x/in/ner/file") - began)
            watcher.reports("CLOSE_WRITE,CLOSE /x/in/ner/file", IN_TIME)
    return taken, edits - len(taken)


def _burst(watcher: Watcher, folder: Path, files: int) -> int:
    """Creates and deletes files as fast as possible; returns the number of lost deletions."""
    watcher.forget()
    for number in range(files):
        (folder / f"b{number}").write_text("1")
        (folder / f"b{number}").unlink()
    (folder / "last").touch()
    watcher.reports("CREATE /x/last", 60.0)
    lines = set(watcher.lines)
    return sum(f"DELETE /x/b{number}" not in lines for number in range(files))


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1] if values else math.inf
