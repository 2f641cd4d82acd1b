"""Calls in the background: results, errors, and an end for those that have none."""

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
with Background() as beside:
    beside.submit(threading.Event().wait)
print("over")
"""


def test_results_and_errors() -> None:
    def fail() -> None:
        raise ValueError("so")

    with Background() as beside:
        assert beside.submit(divmod, 7, 2).result() == (3, 1)
        assert list(beside.map(len, ("a", "bb"))) == [1, 2]
        with pytest.raises(ValueError, match="so"):
            beside.submit(fail).result()


def test_one_that_hangs_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", 0.05)
    never = threading.Event()
    with Background() as beside:
        waiting = beside.submit(never.wait)
        with pytest.raises(TimeoutError):
            waiting.result()
        with pytest.raises(TimeoutError):
            list(beside.map(lambda _: never.wait(), range(2)))
    never.set()
    assert waiting.result(5)


def test_one_that_hangs_keeps_no_interpreter() -> None:
    root = Path(__file__).parents[2]
    words = [sys.executable, "-c", HANGS]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("over\n", "")
