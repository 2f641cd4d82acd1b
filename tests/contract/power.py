"""Simulated power cuts: every process ends, and unsynced data is lost.

The home is a separate file system (ext4 in a file). Its power is cut as xfstests does it: the file
system is shut down without a flush, so that data that is only in the page cache never reaches the
disk. Mounted again, it has the content that a computer finds after a power cut. Root only, Linux.
Next: `conftest.py`, which has the fixtures.
"""

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.moments import Moment, at
from tests.e2e.processes import belonging_to
from vm.backend import Force
from vm.errors import GalleyError

if TYPE_CHECKING:  # conftest imports this module
    from tests.contract.conftest import Bench

SHUT_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_FLUSHING = struct.pack("I", 2)  # EXT4_GOING_FLAGS_NOLOGFLUSH
SIZE = 16 << 30  # bytes; the file has holes
PATIENCE = 60.0  # seconds; only a test that fails waits so long


def faults_of(disk: Path) -> str:
    """e2fsck's report of errors on a stopped machine's data disk; it changes nothing."""
    done = subprocess.run(["/usr/sbin/e2fsck", "-f", "-n", disk], capture_output=True, text=True)
    return done.stdout if done.returncode else ""


def _runs(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _devices_of(file: Path) -> str:
    """The file's loop devices; each is removed with its last mount."""
    command = ("/usr/sbin/losetup", "--noheadings", "--output=NAME", f"--associated={file}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class PowerCut(Exception):
    """Not a GalleyError, so that the code under test does not clean up."""


class Disk:
    """An ext4 file system in `file`, mounted on `place`, whose power can be cut."""

    def __init__(self, file: Path, place: Path) -> None:
        self._file, self._place = file, place
        self._is_cut = threading.Event()
        with file.open("wb") as out:
            out.truncate(SIZE)
        place.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-E", "nodiscard", file], check=True)
        self._mount()

    def cut(self) -> None:
        place = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(place, SHUT_DOWN, WITHOUT_FLUSHING)
        finally:
            os.close(place)
        self._is_cut.set()

    def back(self) -> None:
        """Restores the power: kills every process of the home and mounts the disk again."""
        assert self._is_cut.wait(PATIENCE), "the power was never cut"
        self._is_cut.clear()
        for pid in belonging_to(str(self._place)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.unmount()
        self._mount()

    def unmount(self) -> None:
        """Retries, because a killed process may need a moment to close its files. Another mount
        namespace (`unshare`, a container) keeps the file system in its shut-down state: a mount
        reads it from the disk only after the last one has ended."""
        self._until(lambda: _runs("umount", self._place), "a process has a file open")
        self._until(lambda: not _devices_of(self._file), "another mount namespace keeps it")

    def _until(self, done: Callable[[], bool], why: str) -> None:
        until, never = time.monotonic() + PATIENCE, threading.Event()
        while not done():
            if time.monotonic() > until:
                _runs("umount", "--lazy", self._place)
                raise AssertionError(why)
            never.wait(0.05)

    def _mount(self) -> None:
        options = "loop,commit=300"  # no periodic commit writes to the disk
        subprocess.run(["mount", "-o", options, self._file, self._place], check=True)


def cut_power_at(
    bench: "Bench", disk: Disk, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], bool]:
    """Returns a function that tells whether the moment was reached."""
    return at(moment, partial(_cut_all, bench, disk), monkeypatch.setattr)


def _cut_all(bench: "Bench", disk: Disk) -> None:
    cut_power(bench, disk)
    raise PowerCut


def cut_power(bench: "Bench", disk: Disk) -> None:
    """A machine whose start is still in progress may appear after this; `Disk.back` kills it."""
    bench.backend.stop(bench.directory, Force.KILL)
    bench.backend.wait_stopped(bench.directory, 10)
    disk.cut()


def try_it(call: Callable[[], object]) -> None:
    """Runs the call and ignores its errors: without a disk any operation may fail."""
    with contextlib.suppress(PowerCut, GalleyError, OSError):
        call()


def power_on(bench: "Bench", disk: Disk) -> None:
    """After a power cut: opens the machine with what is on the disk."""
    with contextlib.suppress(OSError):
        bench.machine.close()
    disk.back()
    bench.open()
