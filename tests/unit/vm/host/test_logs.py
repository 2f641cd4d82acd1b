"""Log files stay bounded and record uncaught exceptions; reading a tail is cheap."""

import gc
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vm.host.logs import TAIL_BYTES, start_log, stop_log, tail


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "some.log"
    start_log(path, limit=2000, keep=2)
    yield path
    stop_log()


def test_a_log_rotates_and_stays_bounded(log: Path) -> None:
    for number in range(500):
        logging.getLogger("test").info("line %d", number)
    names = sorted(path.name for path in log.parent.iterdir())
    assert names == ["some.1.log", "some.2.log", "some.log"]
    assert all(path.stat().st_size <= 2000 for path in log.parent.iterdir())
    assert "line 499" in log.read_text()


def test_uncaught_exceptions_are_logged(log: Path) -> None:
    thread = threading.Thread(target=lambda: 1 / 0, name="clumsy")
    thread.start()
    thread.join()
    try:
        raise ValueError("in main")
    except ValueError as error:
        sys.excepthook(ValueError, error, None)
    text = log.read_text()
    assert "in clumsy" in text
    assert "ZeroDivisionError" in text
    assert "ValueError: in main" in text


def test_an_exception_in_a_destructor_is_logged(log: Path) -> None:
    class Clumsy:
        def __del__(self) -> None:
            raise ValueError("in a destructor")

    Clumsy()
    gc.collect()
    assert "ValueError: in a destructor" in log.read_text()


def test_a_tail_is_the_last_lines_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    assert tail(path) == ""
    path.write_bytes(b"one\ntwo\n\xff three")
    assert tail(path, 2) == "two\n\N{REPLACEMENT CHARACTER} three"
    path.write_bytes(b"x" * TAIL_BYTES + b"\nlast\n")
    assert tail(path, 1) == "last"
    assert len(tail(path)) <= TAIL_BYTES
