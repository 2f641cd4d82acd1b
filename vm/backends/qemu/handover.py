"""What the guest is to find when it starts, as a second archive behind its initramfs.

The kernel unpacks one after the other, so this asks for no device, no driver and no time. May
import: `vm.cpio`, `vm.directory`, `vm.host`. Next: `start.py`; in the guest, initramfs/init.
"""

from pathlib import Path

from vm.backends.qemu.command import INITRAMFS
from vm.cpio import CpioEntry, cpio
from vm.directory import MachineDir
from vm.host.paths import unusable

FOLDER = "handover"


def initramfs(directory: MachineDir, image: Path) -> Path:
    """The one to start with: the image's own where nothing is to be handed over.

    Raises HomeUnusable, DiskFull.
    """
    own, made = image / INITRAMFS, directory.initramfs
    try:
        files = sorted(directory.handover.iterdir()) if directory.handover.is_dir() else []
        made.unlink(missing_ok=True)
        if not files:
            return own
        entries = [CpioEntry(FOLDER, 0o040700)]
        entries += [CpioEntry(f"{FOLDER}/{it.name}", 0o100600, it.read_bytes()) for it in files]
        made.write_bytes(own.read_bytes() + cpio(entries))
    except OSError as error:
        raise unusable(directory.root, error) from error
    return made
