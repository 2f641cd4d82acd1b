"""The file lock: acquired, or refused."""

import os
import threading
from pathlib import Path

from vm.host.lock import FileLock

LONG_ENOUGH = 30.0  # seconds


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_waiting_acquire_gets_a_released_lock(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire(timeout=0.05)
    freeing = threading.Timer(0.2, first.release)
    freeing.start()
    assert second.acquire(timeout=LONG_ENOUGH)
    freeing.join(LONG_ENOUGH)
    second.release()


def test_a_failed_acquire_leaves_no_file_open(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), open(os.devnull) as probe:
        lowest = probe.fileno()
        probe.close()
        assert not FileLock(tmp_path / "lock").acquire(timeout=0.05)
        with open(os.devnull) as again:
            assert again.fileno() == lowest
