"""What a machine on disk depends on: taken down at every start, compared before it goes on.

A state holds only for the very QEMU, accelerator, image and devices that it was taken with. Paths
and ports of this computer do not count, nor what the kernel was told for its first minute. Next:
`vm/backends/qemu/state/suspend.py`, `vm/backends/qemu/state/boot_checkpoint.py`.
"""

import hashlib
import platform
from pathlib import Path

import msgspec

from vm.backends.qemu import accel
from vm.backends.qemu.command import Launch, arguments
from vm.image import MANIFEST, Fingerprint
from vm.types import MachineSpec

FORMAT = 1  # raised when what we write down, or how memory is kept, changes
PASSING = ("galley.format=", "galley.grow=", "galley.fsck=", "galley.template=")

# Which field differs, as people know it.
REASONS = {
    "format": "it was suspended by another version of Galley",
    "qemu": "QEMU has been replaced",
    "accelerator": "the accelerator is another one",
    "processor": "this computer's processor or kernel is another one",
    "image": "the guest image is another one",
    "disk_bytes": "its data disk is to have another size",
    "arguments": "its settings have changed",
}


class Circumstances(msgspec.Struct, frozen=True):
    """Any difference, and the machine cannot go on."""

    format: int
    qemu: str  # the program's path, size and time of change
    accelerator: str
    processor: str  # and the host's kernel, where the guest runs on it directly
    image: str  # sha256 of its manifest
    disk_bytes: int
    arguments: str  # sha256


def circumstances(launch: Launch, spec: MachineSpec) -> Circumstances:
    """Raises OSError when QEMU or the image is not there."""
    program = Fingerprint.of(Path(launch.program))
    emulated = launch.accelerator == "tcg"
    host = "" if emulated else f"{accel.processor_name()}, {platform.release()}"
    manifest = (Path(launch.image) / MANIFEST).read_bytes()
    return Circumstances(
        FORMAT,
        f"{launch.program} {program.size} {program.mtime_ns}",
        launch.accelerator,
        host,
        hashlib.sha256(manifest).hexdigest(),
        spec.disk_bytes,
        _hash(launch),
    )


def difference(then: Circumstances, now: Circumstances) -> str:
    """The first that is not the same, in words; "" when all is."""
    for field, reason in REASONS.items():
        if getattr(then, field) != getattr(now, field):
            return reason
    return ""


def without_passing(words: tuple[str, ...]) -> tuple[str, ...]:
    """Those that a guest is told at every start."""
    return tuple(word for word in words if not word.startswith(PASSING))


def _hash(launch: Launch) -> str:
    bare = msgspec.structs.replace(
        launch,
        ssh_port=0,
        initramfs=None,
        memory_file=None,
        waits=False,
        guest_options=without_passing(launch.guest_options),
    )
    return hashlib.sha256("\0".join(arguments(bare)).encode()).hexdigest()
