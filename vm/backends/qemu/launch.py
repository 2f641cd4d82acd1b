"""From a MachineSpec to a checked `Launch`: the program, the identity, the files, the accelerator.

Next: `command.py`, which makes the command line, `accel.py`, `start.py`.
"""

import platform
from pathlib import Path

import msgspec
import psutil

from vm import image
from vm.backends.qemu import accel, program, running
from vm.backends.qemu.command import INITRAMFS, KERNEL, ROOT, Launch
from vm.capabilities import Progress
from vm.directory import MachineDir
from vm.errors import MachineBusy, NoMachine, NotEnough
from vm.messages.guest import IMAGE_FILE_MISSING
from vm.messages.machine import (
    MACHINE_ALREADY_RUNNING,
    MACHINE_NONE_TO_START,
    MACHINE_TOO_MANY_CPUS,
    MACHINE_TOO_MUCH_MEMORY,
)
from vm.types import Accelerator, BootOptions, MachineSpec


def plan(
    directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
) -> tuple[Launch, Accelerator]:
    """Raises NoMachine, MachineBusy, NotEnough, ImageDamaged, ToolMissing and what `progress`
    raises; then nothing runs, and nothing has changed."""
    qemu = program.find()
    identity = running.read_uuid(directory)
    if identity is None or not directory.data_disk.exists():
        raise NoMachine(MACHINE_NONE_TO_START)
    if running.find(directory) is not None:
        raise MachineBusy(MACHINE_ALREADY_RUNNING)
    _check(spec)
    launch = Launch(
        program=str(qemu.path),
        system=platform.system(),
        arch=program.arch(),
        accelerator="tcg",
        cpus=spec.cpus,
        memory_bytes=spec.memory_bytes,
        image=Path(spec.image),
        data_disk=directory.data_disk,
        uuid=identity,
        ssh_port=0,
        qmp_socket=directory.qmp_socket,
        events_socket=directory.events_socket,
        relay_socket=directory.relay_socket,
        console_log=directory.console_log,
        guest_options=kernel_words(options, spec.id_offset),
        cpu_model=spec.cpu_model,
    )
    chosen = accel.choose(spec.accelerator, launch, directory.accelerator, qemu.version, progress)
    return msgspec.structs.replace(launch, accelerator=chosen.name), chosen


def kernel_words(options: BootOptions, id_offset: int = 0) -> tuple[str, ...]:
    """Options of the kernel command line, which `engine/guest/files/initramfs/init` reads."""
    words = [f"galley.key={options.login_key}"]
    if options.format_disk:
        words.append("galley.format=1")
    if options.grow_disk:
        words.append("galley.grow=1")
    if options.repair_disk:
        words.append("galley.fsck=repair")
    if id_offset:
        words.append(f"galley.remap={id_offset}")
    return tuple(words)


def _check(spec: MachineSpec) -> None:
    """Raises NotEnough, ImageDamaged early, for QEMU would fail later with a less clear message."""
    processors, installed = psutil.cpu_count() or 1, psutil.virtual_memory().total
    if spec.cpus > processors:
        raise NotEnough(
            MACHINE_TOO_MANY_CPUS,
            cpus=spec.cpus,
            processors=processors,
        )
    if spec.memory_bytes > installed:
        raise NotEnough(
            MACHINE_TOO_MUCH_MEMORY,
            wanted=spec.memory_bytes,
            installed=installed,
        )
    for name in (KERNEL, INITRAMFS, ROOT):
        if not (Path(spec.image) / name).is_file():
            raise image.damaged(Path(spec.image), name, IMAGE_FILE_MISSING.text())
