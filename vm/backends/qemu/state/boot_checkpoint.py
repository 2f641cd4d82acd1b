"""A machine that has booted until it would touch its data disk, kept for starts from cold.

    first    boots with `galley.template` → says "template" and waits → halted, state and memory
             written → runs on, and asks for its handover
    later    circumstances fit → state and memory read → guest runs from there, and asks likewise

Nothing of the data disk, of the handover or of this computer's secrets is in a template, so it is
good for any number of starts, whatever became of the disk. It counts from its manifest on, which is
written when all else is on the disk. In doubt the machine boots, which only takes longer. One that
cannot be gone on from is made anew at once; after the second in a row none is made any more, until
the circumstances are others. Next: `saved.py`, `vm/backends/qemu/boot_files.py`; in the guest,
/usr/lib/galley/template.
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
from vm.backends.qemu.resume_compat import Circumstances, circumstances, difference, without_passing
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
from vm.types import Accelerator, BootOptions, MachineSpec

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
WORD = "galley.template=1"
BOOTING = "Booting Linux once for all"
SPARE = 1 << 30  # bytes: nobody has asked for a template
TRIES = 2  # a busy computer may be the reason of one
GLANCE = 0.02  # seconds between two looks at the console
BOOTED_WITHIN = 60.0  # seconds; a twentieth of it on a quiet computer


class Template(msgspec.Struct, frozen=True):
    """The content of the manifest. Without files: here a machine cannot go on from one."""

    circumstances: Circumstances
    data_bytes: int  # the size of the data disk, which the guest's kernel has seen
    files: dict[str, Fingerprint]
    failures: int = 0  # in a row, also of those before it
    reason: str = ""  # of the last one


class BootCheckpoint(BootCheckpoints):
    """For a guest whose memory is a memfd (`vm.host.memory.supported`)."""

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        launch, chosen = plan(directory, spec, options, progress)
        suspend.forget(directory)
        if is_useful(directory, launch, spec):
            begin(directory, launch, chosen, spec, progress)
        else:
            cold_start(directory, launch, chosen, spec)

    def boot_files(self, directory: MachineDir) -> bytes | None:
        return boot_files.message(directory) if boot_files.is_awaited(directory) else None

    def forget(self, directory: MachineDir) -> None:
        forget(directory)


def begin(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    progress: Progress,
) -> None:
    """Start the machine, from its template where there is one that fits, else make one on the way.
    Raises BackendFailed, BootDied; what `progress` raises ends the start too."""
    lasting = without_passing(launch.guest_options)
    boot_files.keep_words(directory, [word for word in launch.guest_options if word not in lasting])
    launch = msgspec.structs.replace(
        launch, guest_options=(*lasting, WORD), initramfs=launch.image / INITRAMFS
    )
    try:
        made = _fitting(directory, launch, spec)
    except NotResumable as reason:
        log.info("no start from a template: %s %s", reason.summary, reason.details)
        forget(directory)
        _boot_and_keep(directory, launch, chosen, spec, progress)
        return
    try:
        saved.read(directory, launch, chosen, spec, directory.boot_checkpoint, _nothing)
    except NotResumable as reason:
        log.warning("the template was of no use: %s %s", reason.summary, reason.details)
        forget(directory)
        why, failures = reason.details or reason.summary, made.failures + 1
        failed = msgspec.structs.replace(made, files={}, failures=failures, reason=why)
        if failures < TRIES:
            _boot_and_keep(directory, launch, chosen, spec, progress, failed)
            return
        _write_manifest(directory.boot_checkpoint, failed)
        _boot_until_it_waits(directory, launch, chosen, spec, progress)
        return
    if made.failures:
        _write_manifest(
            directory.boot_checkpoint, msgspec.structs.replace(made, failures=0, reason="")
        )


def is_useful(directory: MachineDir, launch: Launch, spec: MachineSpec) -> bool:
    """False where they have been tried and were of no use."""
    try:
        made = _read(directory)
        now = circumstances(*with_shares(directory, launch, spec)[:2])
    except (OSError, msgspec.MsgspecError):
        return True
    return not _is_given_up(made) or bool(difference(made.circumstances, now))


def why_not(directory: MachineDir) -> Problem | None:
    """Why no start is made from a template any more, or None."""
    try:
        made = _read(directory)
    except (OSError, msgspec.MsgspecError):
        return None
    if not _is_given_up(made):
        return None
    return BackendFailed(
        "Every start of the machine boots Linux, which takes about twice as long as going on from "
        f"a machine that has booted: that has failed {made.failures} times in a row.",
        "To have it tried again: galley stop --cold, then galley start --repair",
        details=made.reason,
    ).to_problem()


def _is_given_up(made: Template) -> bool:
    return not made.files and made.failures >= TRIES


def forget(directory: MachineDir) -> None:
    for folder in (directory.boot_checkpoint, *directory.root.glob("template.*")):
        shutil.rmtree(folder, ignore_errors=True)


def _nothing() -> None:
    """What has to be done before a guest runs on from a template, which stays as it is."""


def _read(directory: MachineDir) -> Template:
    return msgspec.json.decode((directory.boot_checkpoint / MANIFEST).read_bytes(), type=Template)


def _fitting(directory: MachineDir, launch: Launch, spec: MachineSpec) -> Template:
    """Raises NotResumable with the reason why it does not fit."""
    try:
        made = _read(directory)
        now = circumstances(*with_shares(directory, launch, spec)[:2])
        files = saved.prints(directory.boot_checkpoint)
    except (OSError, msgspec.MsgspecError) as error:
        raise saved.unfit("there is none", str(error)) from error
    if reason := difference(made.circumstances, now):
        raise saved.unfit(reason)
    if made.data_bytes != directory.data_disk.stat().st_size:
        raise saved.unfit("the data disk has another size")
    if files != made.files:
        raise saved.unfit("a file of it has been changed")
    return made


def _boot_and_keep(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    progress: Progress,
    before: Template | None = None,
) -> None:
    """`before`: the one that could not be gone on from, whose failures count with this one's."""
    booted = _boot_until_it_waits(directory, launch, chosen, spec, progress)
    taken = booted.circumstances
    if taken is None or Console(directory.console_log).find("template") is None:
        return  # an image of another Galley, which goes on by itself
    failures, reason = (before.failures, before.reason) if before else (0, "")
    made = Template(taken, directory.data_disk.stat().st_size, {}, failures, reason)
    folder = directory.boot_checkpoint.with_name(f"template.{time.monotonic_ns()}")
    try:
        saved.write(directory, booted, folder, synced=False, spare=SPARE)
    except (BackendFailed, DiskFull, OSError) as error:
        log.warning("no template could be made: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
        return
    saved.go_on(directory, booted)
    # It is large, and nobody waits for it to be on the disk.
    threading.Thread(
        target=_make_valid, args=(directory, folder, made), name="template", daemon=True
    ).start()


def _boot_until_it_waits(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    progress: Progress,
) -> Running:
    """To where a template is taken. Raises BootDied, and what `progress` raises: the machine is
    the caller's then, to end it or to leave it to another."""
    ram = memory.create(spec.memory_bytes)
    try:
        booted = start(directory, launch, chosen, spec, ram)
    finally:
        os.close(ram)
    console, until = Console(directory.console_log), time.monotonic() + BOOTED_WITHIN
    while console.find("template", "disk") is None:
        progress(BOOTING)
        gone = process.wait_gone(booted.identity, GLANCE)
        if gone or time.monotonic() > until or console.find("failed") is not None:
            raise BootDied(
                "The virtual machine ended while it was booting."
                if gone
                else "The virtual machine did not come up.",
                "Try again; `galley logs --component vm` has what it said.",
                details=console.tail(),
            )
    return booted


def _make_valid(directory: MachineDir, folder: Path, made: Template) -> None:
    """Nothing counts before it is on the disk; meanwhile it may have been forgotten."""
    try:
        for name in saved.FILES:
            saved.sync(folder / name)
        made = msgspec.structs.replace(made, files=saved.prints(folder))
        _write_manifest(folder, made)
        folder.rename(directory.boot_checkpoint)
    except (OSError, GalleyError) as error:
        log.warning("the template could not be kept: %s", error)
        shutil.rmtree(folder, ignore_errors=True)


def _write_manifest(folder: Path, made: Template) -> None:
    write_atomic(folder / MANIFEST, msgspec.json.encode(made))
