"""The suite's two pytests beside each other, here as scripts that pretend."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import lanes
from tests.unit.engine.bridge.servers import wait_until

RUN = "import sys; from tests.lanes import run; sys.exit(run(*map(eval, sys.argv[1:])))"
WAITS = """
import pathlib, sys, threading
try:
    pathlib.Path(sys.argv[1]).touch()
    threading.Event().wait(50)
except KeyboardInterrupt:
    print("cleared away", flush=True)
    sys.exit(2)
"""


def python(script: str, *words: str) -> list[str]:
    return [sys.executable, "-c", script, *words]


def ran(shown: Sequence[str], held: Sequence[str]) -> tuple[int, list[str]]:
    """In a process of its own, for it takes over its signals."""
    words = python(RUN, repr(shown), repr(held))
    done = subprocess.run(words, cwd=lanes.ROOT, capture_output=True, text=True, timeout=50)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_both_run_at_once_and_are_shown_one_after_the_other(tmp_path: Path) -> None:
    pipes = [str(tmp_path / name) for name in ("there", "back")]
    for pipe in pipes:
        os.mkfifo(pipe)
    # Each waits for the other in its middle.
    shown = "import sys; print(1, flush=True); open(sys.argv[1]).read(); open(sys.argv[2], 'w')"
    held = "import sys; print(3, flush=True); open(sys.argv[1], 'w'); open(sys.argv[2]).read()"
    both = (python(f"{shown}; print(2)", *pipes), python(f"{held}; print(4)", *pipes))
    assert ran(*both) == (0, ["1", "2", "3", "4"])


@pytest.mark.parametrize(("one", "other", "both"), [(0, 1, 1), (5, 0, 5), (2, 1, 2)])
def test_either_may_fail(one: int, other: int, both: int) -> None:
    fails = [python(f"raise SystemExit({code})") for code in (one, other)]
    assert ran(*fails) == (both, [])


def test_one_that_is_killed_has_failed() -> None:
    killed = python("import os; os.kill(os.getpid(), 9)")
    assert ran(python("print(1)"), killed) == (1, ["1"])


@pytest.mark.parametrize("number", lanes.ENDING)
def test_a_signal_ends_both_in_order(tmp_path: Path, number: signal.Signals) -> None:
    begun = [tmp_path / name for name in ("shown", "held")]
    both = [repr(python(WAITS, str(file))) for file in begun]
    with subprocess.Popen(
        python(RUN, *both), cwd=lanes.ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        wait_until(lambda: all(file.exists() for file in begun))
        running.send_signal(number)
        said, _ = running.communicate(timeout=50)
    assert (running.returncode, said.splitlines()) == (2, ["cleared away"] * 2)


def test_neither_has_the_mounts_of_the_other() -> None:
    shows = python("import os; print(os.readlink('/proc/self/ns/mnt'))")
    _, namespaces = ran(shows, shows)
    assert len(namespaces) == 2
    assert os.readlink("/proc/self/ns/mnt") not in namespaces


def test_every_test_is_in_one() -> None:
    files = lanes.ROOT.glob("tests/**/test_*.py")
    folders = {f"tests/{file.relative_to(lanes.ROOT).parts[1]}" for file in files}
    assert {*lanes.SHOWN, *lanes.HELD, "tests/windows"} == folders
