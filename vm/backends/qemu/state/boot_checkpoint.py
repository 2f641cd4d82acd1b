"""The boot checkpoint: a machine saved just before it needs its data disk, for cold starts.

    first    boots with `galley.template` → reports "template" and waits → paused, state and memory
             saved → continues, and waits for its boot files
    later    `ResumeCompat` is the same → state and memory loaded → continues from there, likewise

A checkpoint has nothing of the data disk, of the boot files or of this computer's secrets, so it
serves any number of starts, whatever happens to the disk. It is valid once it has a manifest, which
is written after all other files are on the disk. In doubt the machine boots, which only takes
longer. After a failed resume a new checkpoint is made at once; after the second failure in a row
none is made until `ResumeCompat` changes. Next: `saved.py`, `vm/backends/qemu/boot_files.py`; in
the guest, /usr/lib/galley/template.
"""

import logging
import os
import shutil
import threading
import time
from pathlib import Path

import msgspec

from vm.backends.qemu import boot_files
from vm.backends.qemu.command import INITRAMFS, Launch
from vm.backends.qemu.launch import plan
from vm.backends.qemu.resume_compat import ResumeCompat, compat_of, difference, lasting_words
from vm.backends.qemu.running import Running
from vm.backends.qemu.start import cold_start, start, with_shares
from vm.backends.qemu.state import saved, suspend
from vm.capabilities import BootCheckpoints, Progress
from vm.directory import MachineDir
from vm.errors import BackendFailed, BootDied, DiskFull, GalleyError, NotResumable, Problem
from vm.guest.console import Console
from vm.host import memory, process
from vm.host.paths import write_atomic
from vm.image import Fingerprint
from vm.messages.machine import BOOT_DIED, BOOT_HUNG, STEP_LINUX_ONCE
from vm.messages.qemu import (
    CHECKPOINT_FAILURES,
    CHECKPOINT_FILE_CHANGED,
    CHECKPOINT_NONE,
    CHECKPOINT_OTHER_DISK_SIZE,
)
from vm.types import Accelerator, BootOptions, MachineSpec

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
WORD = "galley.template=1"
SPARE = 1 << 30  # bytes that stay free: the checkpoint is optional
TRIES = 2  # a single failure may be due to a busy computer
POLL = 0.02  # seconds between two reads of the console
BOOTED_WITHIN = 60.0  # seconds; a twentieth of it on a quiet computer


class CheckpointManifest(msgspec.Struct, frozen=True):
    """The content of the manifest. Without files: checkpoints have failed on this computer."""

    compat: ResumeCompat = msgspec.field(name="circumstances")
    data_bytes: int  # the size of the data disk: the guest's kernel has read it
    files: dict[str, Fingerprint]
    failures: int = 0  # in a row, those of earlier checkpoints included
    reason: str = ""  # of the last one


class BootCheckpoint(BootCheckpoints):
    """For a guest whose memory is a memfd (`vm.host.memory.supported`)."""

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        launch, chosen = plan(directory, spec, options, progress)
        suspend.forget(directory)
        if is_useful(directory, launch, spec):
            start_with_checkpoint(directory, launch, chosen, spec, progress)
        else:
            cold_start(directory, launch, chosen, spec)

    def boot_files(self, directory: MachineDir) -> bytes | None:
        return boot_files.message(directory) if boot_files.is_awaited(directory) else None

    def forget(self, directory: MachineDir) -> None:
        forget(directory)


def start_with_checkpoint(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    progress: Progress,
) -> None:
    """Start from the checkpoint where it fits, else boot and save one on the way. Raises
    BackendFailed, BootDied; what `progress` raises ends the start too."""
    lasting = lasting_words(launch.guest_options)
    boot_files.save_words(directory, [word for word in launch.guest_options if word not in lasting])
    launch = msgspec.structs.replace(
        launch, guest_options=(*lasting, WORD), initramfs=launch.image / INITRAMFS
    )
    try:
        manifest = _load_fitting(directory, launch, spec)
    except NotResumable as reason:
        log.info("no start from a boot checkpoint: %s %s", reason.summary, reason.details)
        forget(directory)
        _boot_and_save(directory, launch, chosen, spec, progress)
        return
    try:
        saved.read(directory, launch, chosen, spec, directory.boot_checkpoint, _nothing)
    except NotResumable as reason:
        log.warning(
            "the boot checkpoint could not be resumed: %s %s", reason.summary, reason.details
        )
        forget(directory)
        why, failures = reason.details or reason.summary, manifest.failures + 1
        failed = msgspec.structs.replace(manifest, files={}, failures=failures, reason=why)
        if failures < TRIES:
            _boot_and_save(directory, launch, chosen, spec, progress, failed)
            return
        _write_manifest(directory.boot_checkpoint, failed)
        _boot_to_checkpoint(directory, launch, chosen, spec, progress)
        return
    if manifest.failures:
        _write_manifest(
            directory.boot_checkpoint, msgspec.structs.replace(manifest, failures=0, reason="")
        )


def is_useful(directory: MachineDir, launch: Launch, spec: MachineSpec) -> bool:
    """False where checkpoints have failed TRIES times in a row."""
    try:
        manifest = _read(directory)
        now = compat_of(*with_shares(directory, launch, spec)[:2])
    except (OSError, msgspec.MsgspecError):
        return True
    return not _is_given_up(manifest) or bool(difference(manifest.compat, now))


def why_given_up(directory: MachineDir) -> Problem | None:
    """Why checkpoints are no longer used here, or None."""
    try:
        manifest = _read(directory)
    except (OSError, msgspec.MsgspecError):
        return None
    if not _is_given_up(manifest):
        return None
    return BackendFailed(
        CHECKPOINT_FAILURES,
        failures=manifest.failures,
        details=manifest.reason,
    ).to_problem()


def _is_given_up(manifest: CheckpointManifest) -> bool:
    return not manifest.files and manifest.failures >= TRIES


def forget(directory: MachineDir) -> None:
    for folder in (directory.boot_checkpoint, *directory.root.glob("template.*")):
        shutil.rmtree(folder, ignore_errors=True)


def _nothing() -> None:
    """`saved.read` needs nothing before the guest continues: the checkpoint stays valid."""


def _read(directory: MachineDir) -> CheckpointManifest:
    return msgspec.json.decode(
        (directory.boot_checkpoint / MANIFEST).read_bytes(), type=CheckpointManifest
    )


def _load_fitting(directory: MachineDir, launch: Launch, spec: MachineSpec) -> CheckpointManifest:
    """The manifest, where the checkpoint fits this start. Raises NotResumable with the reason."""
    try:
        manifest = _read(directory)
        now = compat_of(*with_shares(directory, launch, spec)[:2])
        files = saved.fingerprints(directory.boot_checkpoint)
    except (OSError, msgspec.MsgspecError) as error:
        raise saved.unfit(CHECKPOINT_NONE, str(error)) from error
    if reason := difference(manifest.compat, now):
        raise saved.unfit(reason)
    if manifest.data_bytes != directory.data_disk.stat().st_size:
        raise saved.unfit(CHECKPOINT_OTHER_DISK_SIZE)
    if files != manifest.files:
        raise saved.unfit(CHECKPOINT_FILE_CHANGED)
    return manifest


def _boot_and_save(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    progress: Progress,
    before: CheckpointManifest | None = None,
) -> None:
    """`before`: the checkpoint that could not be resumed; its failures are added."""
    booted = _boot_to_checkpoint(directory, launch, chosen, spec, progress)
    taken = booted.compat
    if taken is None or Console(directory.console_log).find("template") is None:
        return  # another version's image, which does not stop for a checkpoint
    failures, reason = (before.failures, before.reason) if before else (0, "")
    manifest = CheckpointManifest(taken, directory.data_disk.stat().st_size, {}, failures, reason)
    folder = directory.boot_checkpoint.with_name(f"template.{time.monotonic_ns()}")
    try:
        saved.write(directory, booted, folder, synced=False, spare=SPARE)
    except (BackendFailed, DiskFull, OSError) as error:
        log.warning("no boot checkpoint could be made: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
        return
    saved.resume_running(directory, booted)
    # It is large: sync it in the background.
    threading.Thread(
        target=_commit, args=(directory, folder, manifest), name="boot-checkpoint", daemon=True
    ).start()


def _boot_to_checkpoint(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    progress: Progress,
) -> Running:
    """Boot until the guest waits for boot files. Raises BootDied and what `progress` raises; the
    caller then ends the machine, or leaves it to the next supervisor."""
    ram = memory.create(spec.memory_bytes)
    try:
        booted = start(directory, launch, chosen, spec, ram)
    finally:
        os.close(ram)
    console, until = Console(directory.console_log), time.monotonic() + BOOTED_WITHIN
    while console.find("template", "disk") is None:
        progress(STEP_LINUX_ONCE.text())
        gone = process.wait_gone(booted.identity, POLL)
        if gone or time.monotonic() > until or console.find("failed") is not None:
            raise BootDied(BOOT_DIED if gone else BOOT_HUNG, details=console.tail())
    return booted


def _commit(directory: MachineDir, folder: Path, manifest: CheckpointManifest) -> None:
    """Sync all files, then write the manifest. `forget` may run meanwhile."""
    try:
        for name in saved.FILES:
            saved.sync(folder / name)
        manifest = msgspec.structs.replace(manifest, files=saved.fingerprints(folder))
        _write_manifest(folder, manifest)
        folder.rename(directory.boot_checkpoint)
    except (OSError, GalleyError) as error:
        log.warning("the boot checkpoint could not be saved: %s", error)
        shutil.rmtree(folder, ignore_errors=True)


def _write_manifest(folder: Path, manifest: CheckpointManifest) -> None:
    write_atomic(folder / MANIFEST, msgspec.json.encode(manifest))
