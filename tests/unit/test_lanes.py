"""The suite's two parallel pytest processes, with scripts in their place."""

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


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


def run_both(shown: Sequence[str], held: Sequence[str]) -> tuple[int, list[str]]:
    """Runs in a process of its own, because it handles the signals of its process."""
    command = python(RUN, repr(shown), repr(held))
    done = subprocess.run(command, cwd=lanes.ROOT, capture_output=True, text=True, timeout=50)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_both_run_in_parallel_and_their_output_is_shown_in_order(tmp_path: Path) -> None:
    pipes = [str(tmp_path / name) for name in ("there", "back")]
    for pipe in pipes:
        os.mkfifo(pipe)
    # Each waits for the other in its middle.
    shown = "import sys; print(1, flush=True); open(sys.argv[1]).read(); open(sys.argv[2], 'w')"
    held = "import sys; print(3, flush=True); open(sys.argv[1], 'w'); open(sys.argv[2]).read()"
    both = (python(f"{shown}; print(2)", *pipes), python(f"{held}; print(4)", *pipes))
    assert run_both(*both) == (0, ["1", "2", "3", "4"])


@pytest.mark.parametrize(("one", "other", "both"), [(0, 1, 1), (5, 0, 5), (2, 1, 2)])
def test_a_failure_of_either_is_returned(one: int, other: int, both: int) -> None:
    fails = [python(f"raise SystemExit({code})") for code in (one, other)]
    assert run_both(*fails) == (both, [])


def test_a_killed_process_counts_as_failed() -> None:
    killed = python("import os; os.kill(os.getpid(), 9)")
    assert run_both(python("print(1)"), killed) == (1, ["1"])


@pytest.mark.parametrize("number", lanes.ENDING)
def test_a_signal_ends_both_after_their_cleanup(tmp_path: Path, number: signal.Signals) -> None:
    begun = [tmp_path / name for name in ("shown", "held")]
    both = [repr(python(WAITS, str(file))) for file in begun]
    with subprocess.Popen(
        python(RUN, *both), cwd=lanes.ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        wait_until(lambda: all(file.exists() for file in begun))
        running.send_signal(number)
        stdout, _ = running.communicate(timeout=50)
    assert (running.returncode, stdout.splitlines()) == (2, ["cleared away"] * 2)


def test_each_has_a_mount_namespace_of_its_own() -> None:
    shows = python("import os; print(os.readlink('/proc/self/ns/mnt'))")
    _, namespaces = run_both(shows, shows)
    assert len(namespaces) == 2
    assert os.readlink("/proc/self/ns/mnt") not in namespaces


def test_every_test_folder_is_in_one_of_the_lanes() -> None:
    files = lanes.ROOT.glob("tests/**/test_*.py")
    folders = {f"tests/{file.relative_to(lanes.ROOT).parts[1]}" for file in files}
    assert {*lanes.SHOWN, *lanes.HELD, "tests/windows"} == folders
    assert all((lanes.ROOT / path).is_file() for path in lanes.MOVED)
