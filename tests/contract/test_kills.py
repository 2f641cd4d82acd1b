"""QEMU or the supervisor is killed at each moment of a suspend or a resume.

No acknowledged write is lost, and the next start gives a working machine: it adopts the running
one, resumes the suspended one, or does a cold start.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import Bench
from tests.contract.moments import SUSPEND, at
from tests.contract.power import try_it
from tests.contract.test_suspend import check_disk, lines, write_line
from vm.backend import Force
from vm.types import MachineState

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("used")]

ROOT = Path(__file__).parents[2]
WAYS = list(SUSPEND)


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_supervisor_loses_no_acknowledged_write(bench: Bench, way: str) -> None:
    bench.open()
    bench.boot()
    names = [moment.name for moment in SUSPEND[way]]
    for number, name in enumerate(names):
        write_line(bench, name)
        if way == "resuming":
            bench.machine.suspend()
        bench.machine.close()
        words = ("-m", "tests.contract.dying_supervisor", bench.image, way, str(number))
        child = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, timeout=120)
        assert child.returncode == -signal.SIGKILL, (name, child.stderr.decode())
        bench.open()
        bench.boot()
        assert lines(bench) == names[: number + 1], name
    bench.stop()
    check_disk(bench)


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_qemu_loses_no_acknowledged_write(
    bench: Bench, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor runs on and detects the exit."""

    def kill() -> None:
        bench.backend.stop(bench.directory, Force.KILL)
        bench.backend.wait_stopped(bench.directory, 10)

    bench.open()
    bench.boot()
    names = [moment.name for moment in SUSPEND[way]]
    for number, moment in enumerate(SUSPEND[way]):
        write_line(bench, moment.name)
        if way == "resuming":
            bench.machine.suspend()
        with monkeypatch.context() as patched:
            reached = at(moment, kill, patched.setattr)
            try_it(bench.machine.suspend if way == "saving" else bench.start)
        assert reached(), moment.name
        assert bench.state() in (MachineState.STOPPED, MachineState.RUNNING), moment.name
        bench.boot()
        assert lines(bench) == names[: number + 1], moment.name
    bench.stop()
    check_disk(bench)
