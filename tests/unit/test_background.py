"""Calls in the background: results, errors, and a timeout for calls that hang."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import background
from tests.background import Background

HANGS = """
import threading
from tests.background import Background
with Background() as pool:
    pool.submit(threading.Event().wait)
print("over")
"""


def test_results_and_errors_are_returned() -> None:
    def fail() -> None:
        raise ValueError("so")

    with Background() as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert list(pool.map(len, ("a", "bb"))) == [1, 2]
        with pytest.raises(ValueError, match="so"):
            pool.submit(fail).result()


def test_waiting_for_a_call_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", 0.05)
    never = threading.Event()
    with Background() as pool:
        waiting = pool.submit(never.wait)
        with pytest.raises(TimeoutError):
            waiting.result()
        with pytest.raises(TimeoutError):
            list(pool.map(lambda _: never.wait(), range(2)))
    never.set()
    assert waiting.result(5)


def test_a_call_that_hangs_does_not_keep_the_interpreter_alive() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", HANGS]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("over\n", "")
