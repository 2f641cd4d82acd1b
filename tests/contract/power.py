"""Power cuts: every process ends, and what was not on the disk yet is gone.

The home is a file system of its own (ext4 in a file), and its power is cut as xfstests does it: the
file system is shut down without flushing anything, so that what only was in the page cache never
comes to the disk. Mounted again it is what a computer finds when it starts. For root, on Linux.
Next: `conftest.py`, which has it as fixtures.
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

if TYPE_CHECKING:  # it gives our disk to tests
    from tests.contract.conftest import Bench

SHUT_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_FLUSHING = struct.pack("I", 2)  # EXT4_GOING_FLAGS_NOLOGFLUSH
SIZE = 16 << 30  # bytes; the file has holes
PATIENCE = 60.0  # seconds; only a test that fails waits so long


def faults_of(disk: Path) -> str:
    """What e2fsck would mend on a data disk whose machine is at rest; it is left as it is."""
    done = subprocess.run(["/usr/sbin/e2fsck", "-f", "-n", disk], capture_output=True, text=True)
    return done.stdout if done.returncode else ""


def _runs(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _devices_of(file: Path) -> str:
    """The loop devices that stand for it: they go when the last mount of theirs does."""
    command = ("/usr/sbin/losetup", "--noheadings", "--output=NAME", f"--associated={file}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class PowerCut(Exception):
    """Not one of ours, so nothing is put in order."""


class Disk:
    """`place` is on it, from the beginning on."""

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
        """Power is there again, and nobody has outlived its absence."""
        assert self._is_cut.wait(PATIENCE), "the power was never cut"
        self._is_cut.clear()
        for pid in belonging_to(str(self._place)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.unmount()
        self._mount()

    def unmount(self) -> None:
        """Who was killed may need a moment to let go of its files. A mount namespace that somebody
        made beside us (`unshare`, a container) keeps the file system too, and would give it back
        without its power: only when nobody has it is it read anew."""
        self._until(lambda: _runs("umount", self._place), "somebody has a file open")
        self._until(lambda: not _devices_of(self._file), "another mount namespace keeps it")

    def _until(self, done: Callable[[], bool], why: str) -> None:
        until, never = time.monotonic() + PATIENCE, threading.Event()
        while not done():
            if time.monotonic() > until:
                _runs("umount", "--lazy", self._place)
                raise AssertionError(why)
            never.wait(0.05)

    def _mount(self) -> None:
        options = "loop,commit=300"  # nothing comes to the disk because time passes
        subprocess.run(["mount", "-o", options, self._file, self._place], check=True)


def cut_power_at(
    bench: "Bench", disk: Disk, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], bool]:
    """What is returned says whether the moment has come."""
    return at(moment, partial(_cut_all, bench, disk), monkeypatch.setattr)


def _cut_all(bench: "Bench", disk: Disk) -> None:
    cut_power(bench, disk)
    raise PowerCut


def cut_power(bench: "Bench", disk: Disk) -> None:
    """A machine that is being started beside us may come up now; it ends with `Disk.back`."""
    bench.backend.stop(bench.directory, Force.KILL)
    bench.backend.wait_stopped(bench.directory, 10)
    disk.cut()


def try_it(call: Callable[[], object]) -> None:
    """As far as it gets; without a disk everything may go wrong."""
    with contextlib.suppress(PowerCut, GalleyError, OSError):
        call()


def power_on(bench: "Bench", disk: Disk) -> None:
    """After a cut: everything is found as it is on the disk."""
    with contextlib.suppress(OSError):
        bench.machine.close()
    disk.back()
    bench.open()
