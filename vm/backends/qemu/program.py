"""Finds the installed QEMU and checks its version.

Next: `backend.py`.
"""

import functools
import platform
import re
from pathlib import Path

import msgspec

from vm.errors import ToolMissing, ToolTooOld
from vm.host import process
from vm.image import Fingerprint
from vm.messages import Text
from vm.messages.qemu import (
    QEMU_INSTALL_DARWIN,
    QEMU_INSTALL_LINUX,
    QEMU_INSTALL_OTHER,
    QEMU_INSTALL_WINDOWS,
    QEMU_NO_VERSION,
    QEMU_TOO_OLD,
)

OLDEST = (7, 2)  # Debian 12's; older ones lack options that `command.py` uses
INSTALL = {
    "Linux": QEMU_INSTALL_LINUX,
    "Darwin": QEMU_INSTALL_DARWIN,
    "Windows": QEMU_INSTALL_WINDOWS,
}
APT = {"x86_64": "qemu-system-x86", "aarch64": "qemu-system-arm"}


class Program(msgspec.Struct, frozen=True):
    """A usable QEMU. `version` is the whole version line, so that a distribution's rebuild differs
    too."""

    path: Path
    version: str


def arch() -> str:
    """This computer's architecture as QEMU calls it."""
    machine = platform.machine().lower()
    return "aarch64" if machine in ("arm64", "aarch64") else "x86_64"


def find() -> Program:
    """Raises ToolMissing, ToolTooOld."""
    path = process.find_tool(f"qemu-system-{arch()}", _hint())
    return _look(path, Fingerprint.of(path))


@functools.lru_cache(4)
def _look(path: Path, _: Fingerprint) -> Program:
    """Cached while the program file is unchanged: running it takes as long as half a resume."""
    done = process.run([path, "--version"], timeout=20)
    lines = done.stdout.decode(errors="replace").splitlines()
    numbers = re.search(r"version (\d+)\.(\d+)", lines[0] if lines else "")
    if not done.ok or numbers is None:
        raise ToolMissing(QEMU_NO_VERSION, path=path, install=_hint(), details=done.tail())
    if (int(numbers[1]), int(numbers[2])) < OLDEST:
        oldest, version = ".".join(map(str, OLDEST)), f"{numbers[1]}.{numbers[2]}"
        raise ToolTooOld(QEMU_TOO_OLD, version=version, oldest=oldest, install=_hint())
    return Program(path, lines[0])


def _hint() -> Text:
    return INSTALL.get(platform.system(), QEMU_INSTALL_OTHER).text(apt=APT[arch()])
