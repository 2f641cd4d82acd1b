"""A companion says when it is ready, what is wrong, and does not outlive us; a detached process
outlives us, and leaves no zombie when it does not."""

import os
from pathlib import Path

import psutil
import pytest

from vm.errors import ToolMissing
from vm.host import process
from vm.host.process import Companion

PATIENCE = 20.0  # seconds; only a failure waits so long


def test_it_is_ready_and_ends() -> None:
    child = Companion(["sh", "-c", "echo ready; exec cat"])
    assert child.is_ready(PATIENCE)
    child.end()
    assert not child.is_alive
    child.end()


def test_it_ends_before_it_is_ready_and_says_why() -> None:
    child = Companion(["sh", "-c", "echo no way >&2; exit 3"])
    assert not child.is_ready(PATIENCE)
    child.end()
    assert child.complaints() == "no way"


def test_one_that_never_gets_ready() -> None:
    child = Companion(["sh", "-c", "exec cat > /dev/null"])
    assert not child.is_ready(0.05)
    child.end()


def test_one_that_does_not_listen_is_killed() -> None:
    child = Companion(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
    assert child.is_ready(PATIENCE)
    child.end(patience=0.1)
    assert not child.is_alive


def test_one_that_is_not_there() -> None:
    with pytest.raises(ToolMissing, match="no-such-program"):
        Companion(["no-such-program"])


def test_a_child_that_ends_while_it_is_looked_at_leaves_no_zombie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    identity = process.spawn_detached(["sleep", "1000"], log=tmp_path / "log")
    identify = process.identify

    def identify_when_it_has_ended(pid: int) -> process.Identity | None:
        psutil.Process(pid).kill()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return identify(pid)

    monkeypatch.setattr(process, "identify", identify_when_it_has_ended)
    assert not process.is_alive(identity)
    assert not psutil.pid_exists(identity.pid)
