"""What a saved state depends on: recorded at every start, compared before a resume.

A state can be resumed only by the same QEMU, accelerator, image and devices that it was saved with.
Paths and ports of this computer do not matter, nor kernel words that hold for one start. Next:
`vm/backends/qemu/state/suspend.py`, `vm/backends/qemu/state/boot_checkpoint.py`.
"""

import hashlib
import platform
from pathlib import Path

import msgspec

from vm.backends.qemu import accel
from vm.backends.qemu.command import Launch, arguments
from vm.image import MANIFEST, Fingerprint
from vm.messages import Message
from vm.messages.qemu import (
    SUSPEND_OTHER_ACCELERATOR,
    SUSPEND_OTHER_DISK_SIZE,
    SUSPEND_OTHER_FORMAT,
    SUSPEND_OTHER_IMAGE,
    SUSPEND_OTHER_PROCESSOR,
    SUSPEND_OTHER_QEMU,
    SUSPEND_OTHER_SETTINGS,
)
from vm.types import MachineSpec

FORMAT = 1  # raised when `ResumeCompat` or the files of a saved state change
ONE_START_WORDS = ("galley.format=", "galley.grow=", "galley.fsck=", "galley.template=")

# The field that differs, as a reason for users.
REASONS = {
    "format": SUSPEND_OTHER_FORMAT,
    "qemu": SUSPEND_OTHER_QEMU,
    "accelerator": SUSPEND_OTHER_ACCELERATOR,
    "processor": SUSPEND_OTHER_PROCESSOR,
    "image": SUSPEND_OTHER_IMAGE,
    "disk_bytes": SUSPEND_OTHER_DISK_SIZE,
    "arguments": SUSPEND_OTHER_SETTINGS,
}


class ResumeCompat(msgspec.Struct, frozen=True):
    """A state cannot be resumed where any field differs."""

    format: int
    qemu: str  # the program's path, size and time of change
    accelerator: str
    processor: str  # and the host's kernel, where the guest runs on it directly
    image: str  # sha256 of its manifest
    disk_bytes: int
    arguments: str  # sha256


def compat_of(launch: Launch, spec: MachineSpec) -> ResumeCompat:
    """What a start with `launch` depends on. Raises OSError when QEMU or the image is missing."""
    program = Fingerprint.of(Path(launch.program))
    emulated = launch.accelerator == "tcg"
    host = "" if emulated else f"{accel.processor_name()}, {platform.release()}"
    manifest = (Path(launch.image) / MANIFEST).read_bytes()
    return ResumeCompat(
        FORMAT,
        f"{launch.program} {program.size} {program.mtime_ns}",
        launch.accelerator,
        host,
        hashlib.sha256(manifest).hexdigest(),
        spec.disk_bytes,
        _hash(launch),
    )


def difference(then: ResumeCompat, now: ResumeCompat) -> Message | None:
    """The reason for the first field that differs, None where none does."""
    for field, reason in REASONS.items():
        if getattr(then, field) != getattr(now, field):
            return reason
    return None


def lasting_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """The kernel words of every start, without those of one start."""
    return tuple(word for word in words if not word.startswith(ONE_START_WORDS))


def _hash(launch: Launch) -> str:
    bare = msgspec.structs.replace(
        launch,
        ssh_port=0,
        initramfs=None,
        memory_file=None,
        waits=False,
        guest_options=lasting_words(launch.guest_options),
    )
    return hashlib.sha256("\0".join(arguments(bare)).encode()).hexdigest()
