"""A machine on disk, gone on from once: taken, checked, and void as soon as it runs on.

    save      state and memory written → QEMU ended → everything on the disk → manifest, and only
              now it counts
    resume    manifest fits → state and memory read → manifest removed, for from here on the data
              disk moves on → guest runs

Files are the same ones as long as not even their time of change differs; so is the data disk. Next:
`saved.py`, `vm/backends/qemu/resume_compat.py`.
"""

import contextlib
import logging
import os
import shutil
import threading
import time
from pathlib import Path

import msgspec

from vm import in_use
from vm.backends.qemu import running
from vm.backends.qemu.command import Launch
from vm.backends.qemu.launch import plan
from vm.backends.qemu.resume_compat import Circumstances, circumstances, difference
from vm.backends.qemu.running import Running
from vm.backends.qemu.start import with_shares
from vm.backends.qemu.state import saved as state
from vm.backends.qemu.state.saved import unfit
from vm.capabilities import Progress, Suspends
from vm.directory import MachineDir
from vm.errors import BackendFailed, GalleyError
from vm.host import sparse
from vm.host.paths import sync_directory, unusable, write_atomic
from vm.host.sparse import Report
from vm.image import Fingerprint
from vm.in_use import InUse
from vm.types import Accelerator, BootOptions, MachineSpec

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


class Suspended(msgspec.Struct, frozen=True):
    """The content of the manifest."""

    circumstances: Circumstances
    at: float  # seconds since the epoch
    files: dict[str, Fingerprint]
    data_disk: Fingerprint
    in_use: InUse = {}  # of this computer


class Suspension(Suspends):
    """For a guest whose memory is a memfd (`vm.host.memory.supported`)."""

    def suspend(self, directory: MachineDir) -> None:
        save(directory, running.find_or_raise(directory))

    def is_suspended(self, directory: MachineDir) -> bool:
        return is_there(directory)

    def resume(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        resume(directory, *plan(directory, spec, options, progress), spec)

    def copy(self, directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
        return keep(directory, disk, folder, report)

    def restore(self, directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
        return put_back(directory, disk, folder, report)


def is_there(directory: MachineDir) -> bool:
    return os.path.exists(directory.suspended / MANIFEST)


def forget(directory: MachineDir) -> None:
    """It counts no more from here on; its files go in their own time."""
    manifest = directory.suspended / MANIFEST
    with contextlib.suppress(FileNotFoundError):
        manifest.unlink()
        sync_directory(directory.suspended)
    old = directory.suspended.with_name(f"suspended.{time.monotonic_ns()}")
    with contextlib.suppress(OSError):
        directory.suspended.rename(old)
    for folder in directory.root.glob("suspended.*"):
        threading.Thread(target=shutil.rmtree, args=(folder, True), daemon=True).start()


def save(directory: MachineDir, found: Running) -> None:
    """Raises BackendFailed, DiskFull; the machine then goes on."""
    if found.memory < 0 or found.circumstances is None:
        raise BackendFailed(
            "The machine cannot be suspended: it was started by another version of Galley.",
            "`galley stop --cold` powers it off.",
        )
    try:
        forget(directory)
        state.write(directory, found, directory.suspended, synced=True)
        state.end(directory, found)
        _make_valid(directory, found.circumstances)
    except OSError as error:
        with contextlib.suppress(OSError):  # what is there has no manifest
            forget(directory)
        raise unusable(directory.root, error) from error
    except GalleyError:
        forget(directory)
        raise


def resume(
    directory: MachineDir, launch: Launch, chosen: Accelerator, spec: MachineSpec
) -> Running:
    """Raises NotResumable with the reason; the data disk is untouched then, and nothing runs."""
    saved = _fitting(directory, launch, spec)
    started = state.read(
        directory, launch, chosen, spec, directory.suspended, lambda: forget(directory)
    )
    log.info("went on from %s", time.strftime("%F %T", time.localtime(saved.at)))
    return started


# --- beside a copy of the data disk -----------------------------------------------------------


def keep(directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
    """Copy what is suspended to `folder`, to count with `disk`, which is a copy of its data disk.
    False, and nothing is made, where it does not count now. Raises OSError, DiskFull."""
    saved = _counting(directory.suspended, directory.data_disk)
    if saved is not None:
        _copy(saved, directory.suspended, disk, folder, report)
    return saved is not None


def put_back(directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
    """Make what `keep` made count with the data disk, which now is a copy of `disk`. False where it
    has been changed: then it starts from cold. Raises OSError, DiskFull."""
    saved = _counting(folder, disk)
    if saved is not None:
        forget(directory)
        _copy(saved, folder, directory.data_disk, directory.suspended, report)
    return saved is not None


def _counting(folder: Path, disk: Path) -> Suspended | None:
    """What is suspended in `folder`, when neither it nor `disk` was touched since."""
    try:
        saved = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Suspended)
        same = (state.prints(folder), Fingerprint.of(disk)) == (saved.files, saved.data_disk)
        return saved if same else None
    except (OSError, msgspec.MsgspecError):
        return None


def _copy(saved: Suspended, source: Path, disk: Path, target: Path, report: Report) -> None:
    target.mkdir(mode=0o700)
    for name in saved.files:
        sparse.duplicate(source / name, target / name, report)
    manifest = msgspec.structs.replace(
        saved, files=state.prints(target), data_disk=Fingerprint.of(disk)
    )
    write_atomic(target / MANIFEST, msgspec.json.encode(manifest))


# --- its manifest ---------------------------------------------------------------------------


def _make_valid(directory: MachineDir, taken: Circumstances) -> None:
    folder = directory.suspended
    for path in (folder / state.STATE, folder / state.CONSOLE, directory.data_disk):
        state.sync(path)
    disk = Fingerprint.of(directory.data_disk)
    used = in_use.take(directory)
    manifest = Suspended(taken, time.time(), state.prints(folder), disk, used)
    write_atomic(folder / MANIFEST, msgspec.json.encode(manifest))


def _fitting(directory: MachineDir, launch: Launch, spec: MachineSpec) -> Suspended:
    """What was suspended, when it fits in every respect. Raises NotResumable."""
    folder = directory.suspended
    try:
        saved = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Suspended)
    except (OSError, msgspec.MsgspecError) as error:
        raise unfit("its manifest cannot be read", str(error)) from error
    try:
        now = circumstances(*with_shares(directory, launch, spec)[:2])
        files = state.prints(folder)
        disk = Fingerprint.of(directory.data_disk)
    except OSError as error:
        raise unfit("a file of it is missing", str(error)) from error
    if reason := difference(saved.circumstances, now):
        raise unfit(reason)
    if files != saved.files:
        raise unfit("a file of it has been changed")
    if disk != saved.data_disk:
        raise unfit("the data disk has been changed")
    if (path := in_use.replaced(saved.in_use)) is not None:
        raise unfit(f"a container has {path}, which was removed or replaced meanwhile")
    return saved
