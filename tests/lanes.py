"""Runs the whole suite as two pytests in parallel, because waiting for a machine leaves a CPU idle.

    python -m tests.lanes

Each has its own homes, networks, servers and mounts. The output of one is shown while it runs, the
output of the other after that, so that they do not mix. A signal to end is forwarded to both as
SIGINT: they clean up, and this process ends after them.
"""

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Fast folders first, so that their failures show early. Each lane has one machine at a time: an
# emulated one keeps little more than one CPU busy.
WINE = () if platform.machine() in ("aarch64", "arm64") else ("tests/windows",)
# These start machines of their own, so they can be in either lane, and make both end together.
MOVED = tuple(
    f"tests/e2e/test_{name}.py"
    for name in ("image_build", "image_updates", "ordinary_user", "userns_remap")
)
SHOWN = ("tests/unit", "tests/gui", "tests/fuzz", *WINE, "tests/conformance", "tests/contract")
HELD = ("tests/e2e",)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A mount namespace that a process of one lane creates would keep the other lane's mounts: the file
# system of a power cut (`tests/contract/power.py`) could not be unmounted.
OWN_MOUNTS = ("unshare", "--mount") if os.geteuid() == 0 else ()

Words = Sequence[str]


def main() -> int:
    pytest = [sys.executable, "-m", "pytest", "--durations=10"]
    colored = ["--color=yes"] if sys.stdout.isatty() else []
    sys.stderr.write(f"• {' and '.join(HELD)} runs beside the others, and is shown after them\n")
    others = [f"--ignore={path}" for path in MOVED]
    return run([*pytest, *SHOWN, *MOVED], [*pytest, *colored, *HELD, *others])


def run(shown: Words, held: Words) -> int:
    """Runs both to their end; returns the exit code of one that failed, or 0."""
    sys.stdout.flush()
    first = _start(shown, None)
    second = _start(held, subprocess.PIPE)
    lanes, output = (first, second), Held()
    for number in ENDING:
        signal.signal(number, lambda *_: _interrupt(lanes))
    reader = threading.Thread(target=output.take, args=(second,))
    reader.start()
    codes = [first.wait()]
    output.release()
    codes.append(second.wait())
    reader.join()
    failed = [code for code in codes if code]
    return max(failed[0], 1) if failed else 0


def _start(words: Words, output: int | None) -> subprocess.Popen[bytes]:
    """In its own session, so that a Ctrl+C reaches it only once, from this process."""
    return subprocess.Popen(
        [*OWN_MOUNTS, *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
    )


def _interrupt(lanes: Sequence[subprocess.Popen[bytes]]) -> None:
    for lane in lanes:
        lane.send_signal(signal.SIGINT)


class Held:
    """Buffers a lane's output until it may be shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[bytes] | None = []

    def take(self, lane: subprocess.Popen[bytes]) -> None:
        """Reads the lane's output to its end; runs in a thread."""
        assert lane.stdout is not None
        with lane.stdout as pipe:
            while chunk := os.read(pipe.fileno(), 1 << 16):
                with self._lock:
                    if self._held is None:
                        _show(chunk)
                    else:
                        self._held.append(chunk)

    def release(self) -> None:
        with self._lock:
            _show(b"".join(self._held or []))
            self._held = None


def _show(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
