"""A companion: it says when it is ready, what is wrong, and does not outlive us."""

import pytest

from vm.errors import ToolMissing
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
