"""A companion reports its readiness and errors, and ends with this process; a detached process
outlives it, and leaves no zombie.
"""

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.other_user import as_other
from vm.errors import ToolMissing
from vm.host import process
from vm.host.process import Companion

PATIENCE = 20.0  # seconds; only a failure waits so long


def test_a_companion_gets_ready_and_ends() -> None:
    child = Companion(["sh", "-c", "echo ready; exec cat"])
    assert child.is_ready(PATIENCE)
    child.end()
    assert not child.is_alive
    child.end()


def test_a_companion_that_exits_early_reports_its_stderr() -> None:
    child = Companion(["sh", "-c", "echo no way >&2; exit 3"])
    assert not child.is_ready(PATIENCE)
    child.end()
    assert child.complaints() == "no way"


def test_a_companion_that_never_gets_ready_times_out() -> None:
    child = Companion(["sh", "-c", "exec cat > /dev/null"])
    assert not child.is_ready(0.05)
    child.end()


def test_a_companion_that_ignores_sigterm_is_killed() -> None:
    child = Companion(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
    assert child.is_ready(PATIENCE)
    child.end(patience=0.1)
    assert not child.is_alive


STARTS: dict[str, Callable[[list[str], Path], object]] = {
    "run": lambda command, log: process.run(command),
    "stream": lambda command, log: process.stream(command, print),
    "companion": lambda command, log: Companion(command),
    "detached": lambda command, log: process.spawn_detached(command, log=log),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("forbidden", [False, True])
def test_a_missing_or_forbidden_program_is_reported(
    start: str, forbidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if forbidden:  # as in a folder of PATH that the user may not enter; root may enter all
        (tmp_path / "no-such-program").touch(mode=0o644)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolMissing, match="no-such-program"):
        STARTS[start](["no-such-program"], tmp_path / "log")


def test_a_child_that_ends_during_a_check_leaves_no_zombie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    identity = process.spawn_detached(["sleep", "1000"], log=tmp_path / "log")
    identify = process.identify

    def identify_after_its_end(pid: int) -> process.Identity | None:
        psutil.Process(pid).kill()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return identify(pid)

    monkeypatch.setattr(process, "identify", identify_after_its_end)
    assert not process.is_alive(identity)
    assert not psutil.pid_exists(identity.pid)


def test_a_process_of_another_user_has_no_identity(tmp_path: Path) -> None:
    roots = process.spawn_detached(["sleep", "1000"], log=tmp_path / "log")

    def try_to_end_it() -> None:
        assert process.identify(roots.pid) is None
        process.end(roots, force=True)
        assert process.wait_gone(roots, None)

    as_other(try_to_end_it)
    assert process.is_alive(roots)
    process.end(roots, force=True)
    assert process.wait_gone(roots, PATIENCE)
