"""Boot files: the files of `MachineDir.boot_files`, sent to the guest in one of two ways.

    initramfs    for a guest that boots: a second archive behind the image's own initramfs, which
                 the kernel unpacks too, without a device or a driver
    message      for a guest that starts from a boot checkpoint, which waits for it at
                 `vm.guest.protocol.HANDOVER`

Next: `start.py`, `state/boot_checkpoint.py`; in the guest, initramfs/init and source/handover.c.
"""

import io
import os
import struct
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

from vm.backends.qemu.command import INITRAMFS
from vm.cpio import CpioEntry, cpio
from vm.directory import MachineDir
from vm.guest.console import Console
from vm.host.paths import unusable, write_atomic

FOLDER = "handover"
WORDS = "words"  # of the kernel's command line, as a file
HEAD, MAGIC, SEED = struct.Struct("<8sQqq64s"), b"GalleyH1", 64


def initramfs(directory: MachineDir, image: Path) -> Path:
    """The initramfs to start with: the image's own where there are no boot files.

    Raises HomeUnusable, DiskFull.
    """
    own, made = image / INITRAMFS, directory.initramfs
    try:
        files = _files(directory)
        made.unlink(missing_ok=True)
        if not files:
            return own
        entries = [CpioEntry(FOLDER, 0o040700)]
        entries += [CpioEntry(f"{FOLDER}/{it.name}", 0o100600, it.read_bytes()) for it in files]
        made.write_bytes(own.read_bytes() + cpio(entries))
    except OSError as error:
        raise unusable(directory.root, error) from error
    return made


def save_words(directory: MachineDir, words: Iterable[str]) -> None:
    """Save the words for `message`, also under the next supervisor. Raises HomeUnusable,
    DiskFull."""
    write_atomic(directory.words, " ".join(words).encode() + b"\n")


def is_awaited(directory: MachineDir) -> bool:
    """Whether the running guest waits for `message`, or is about to."""
    return directory.words.exists() and Console(directory.console_log).find("handed over") is None


def message(directory: MachineDir) -> bytes:
    """A header with the time and fresh random bytes, then a tar of the files and kernel words.
    Until then, every guest from one checkpoint has the same time and entropy. Raises
    HomeUnusable."""
    try:
        contents = {it.name: it.read_bytes() for it in _files(directory)}
        contents[WORDS] = directory.words.read_bytes()
    except OSError as error:
        raise unusable(directory.root, error) from error
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in contents.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(data), 0o600
            archive.addfile(about, io.BytesIO(data))
    tar = made.getvalue()
    now = divmod(time.time_ns(), 1_000_000_000)
    return HEAD.pack(MAGIC, len(tar), *now, os.urandom(SEED)) + tar


def _files(directory: MachineDir) -> list[Path]:
    return sorted(directory.boot_files.iterdir()) if directory.boot_files.is_dir() else []
