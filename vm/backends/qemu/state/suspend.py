"""Suspend to disk: the machine's state and memory, valid for one resume.

    save      state and memory written → QEMU ended → all files synced → manifest written: only now
              the suspended state is valid
    resume    manifest fits → state and memory loaded → manifest removed, because the data disk
              changes from here on → guest continues

A file counts as unchanged if its size, inode and modification time are those of the manifest; so
does the data disk. Next: `saved.py`, `vm/backends/qemu/resume_compat.py`.
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
from vm.backends.qemu.resume_compat import ResumeCompat, compat_of, difference
from vm.backends.qemu.running import Running
from vm.backends.qemu.start import with_shares
from vm.backends.qemu.state import saved
from vm.backends.qemu.state.saved import unfit
from vm.capabilities import Progress, Suspends
from vm.directory import MachineDir
from vm.errors import BackendFailed, GalleyError
from vm.host import sparse
from vm.host.paths import sync_directory, unusable, write_atomic
from vm.host.sparse import Report
from vm.image import Fingerprint
from vm.in_use import InUse
from vm.messages.qemu import SUSPEND_OTHER_VERSION
from vm.types import Accelerator, BootOptions, MachineSpec

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


class SuspendManifest(msgspec.Struct, frozen=True):
    """The content of the manifest."""

    compat: ResumeCompat = msgspec.field(name="circumstances")
    at: float  # seconds since the epoch
    files: dict[str, Fingerprint]
    data_disk: Fingerprint
    in_use: InUse = {}  # this computer's paths that containers used


class Suspension(Suspends):
    """For a guest whose memory is a memfd (`vm.host.memory.supported`)."""

    def suspend(self, directory: MachineDir) -> None:
        save(directory, running.find_or_raise(directory))

    def is_suspended(self, directory: MachineDir) -> bool:
        return exists(directory)

    def resume(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        resume(directory, *plan(directory, spec, options, progress), spec)

    def copy(self, directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
        return copy_to(directory, disk, folder, report)

    def restore(self, directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
        return restore_from(directory, disk, folder, report)


def exists(directory: MachineDir) -> bool:
    return os.path.exists(directory.suspended / MANIFEST)


def forget(directory: MachineDir) -> None:
    """Invalidate the suspended state at once; its files are deleted in the background."""
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
    """Suspend and end the process. Raises BackendFailed, DiskFull; the machine then continues."""
    if found.memory < 0 or found.compat is None:
        raise BackendFailed(
            SUSPEND_OTHER_VERSION,
        )
    try:
        forget(directory)
        saved.write(directory, found, directory.suspended, synced=True)
        saved.end(directory, found)
        _commit(directory, found.compat)
    except OSError as error:
        with contextlib.suppress(OSError):  # the files have no manifest
            forget(directory)
        raise unusable(directory.root, error) from error
    except GalleyError:
        forget(directory)
        raise


def resume(
    directory: MachineDir, launch: Launch, chosen: Accelerator, spec: MachineSpec
) -> Running:
    """Raises NotResumable with the reason; then nothing runs, and the data disk is unchanged."""
    manifest = _load_fitting(directory, launch, spec)
    started = saved.read(
        directory, launch, chosen, spec, directory.suspended, lambda: forget(directory)
    )
    log.info("resumed the state of %s", time.strftime("%F %T", time.localtime(manifest.at)))
    return started


# --- with a copy of the data disk, for snapshots ------------------------------------------------


def copy_to(directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
    """Copy the suspended state to `folder`, valid with `disk`, a copy of its data disk. False, and
    nothing is copied, where it is not valid. Raises OSError, DiskFull."""
    manifest = _load_valid(directory.suspended, directory.data_disk)
    if manifest is not None:
        _copy(manifest, directory.suspended, disk, folder, report)
    return manifest is not None


def restore_from(directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
    """Copy what `copy_to` made back, valid with the data disk, which now is a copy of `disk`. False
    where it has been changed: the next start is a cold one. Raises OSError, DiskFull."""
    manifest = _load_valid(folder, disk)
    if manifest is not None:
        forget(directory)
        _copy(manifest, folder, directory.data_disk, directory.suspended, report)
    return manifest is not None


def _load_valid(folder: Path, disk: Path) -> SuspendManifest | None:
    """The manifest in `folder`, if neither a file there nor `disk` has changed since."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=SuspendManifest)
        same = (saved.fingerprints(folder), Fingerprint.of(disk)) == (
            manifest.files,
            manifest.data_disk,
        )
        return manifest if same else None
    except (OSError, msgspec.MsgspecError):
        return None


def _copy(
    manifest: SuspendManifest, source: Path, disk: Path, target: Path, report: Report
) -> None:
    target.mkdir(mode=0o700)
    for name in manifest.files:
        sparse.duplicate(source / name, target / name, report)
    manifest = msgspec.structs.replace(
        manifest, files=saved.fingerprints(target), data_disk=Fingerprint.of(disk)
    )
    write_atomic(target / MANIFEST, msgspec.json.encode(manifest))


# --- the manifest -----------------------------------------------------------------------------


def _commit(directory: MachineDir, taken: ResumeCompat) -> None:
    folder = directory.suspended
    for path in (folder / saved.STATE, folder / saved.CONSOLE, directory.data_disk):
        saved.sync(path)
    disk = Fingerprint.of(directory.data_disk)
    used = in_use.take(directory)
    manifest = SuspendManifest(taken, time.time(), saved.fingerprints(folder), disk, used)
    write_atomic(folder / MANIFEST, msgspec.json.encode(manifest))


def _load_fitting(directory: MachineDir, launch: Launch, spec: MachineSpec) -> SuspendManifest:
    """The manifest, where all of it fits. Raises NotResumable with the reason."""
    folder = directory.suspended
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=SuspendManifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise unfit("its manifest cannot be read", str(error)) from error
    try:
        now = compat_of(*with_shares(directory, launch, spec)[:2])
        files = saved.fingerprints(folder)
        disk = Fingerprint.of(directory.data_disk)
    except OSError as error:
        raise unfit("a file of it is missing", str(error)) from error
    if reason := difference(manifest.compat, now):
        raise unfit(reason)
    if files != manifest.files:
        raise unfit("a file of it has been changed")
    if disk != manifest.data_disk:
        raise unfit("the data disk has been changed")
    if (path := in_use.replaced(manifest.in_use)) is not None:
        raise unfit(f"a container has {path}, which was removed or replaced meanwhile")
    return manifest
