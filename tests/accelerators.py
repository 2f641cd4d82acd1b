"""One verdict on this computer's accelerators for all homes that the tests make.

A new home tests KVM for 10 s where it is present and does not work, and a run makes about 80 homes.
Next: `vm/backends/qemu/accel.py`.
"""

from vm.directory import MachineDir

_verdicts: list[bytes] = []


def lend(directory: MachineDir) -> None:
    """Give the verdict of an earlier home to a new one, if there is any."""
    if _verdicts and not directory.accelerator.exists():
        directory.root.mkdir(mode=0o700, exist_ok=True)
        directory.accelerator.write_bytes(_verdicts[0])


def keep(directory: MachineDir) -> None:
    """Remember the verdict of a home in which a machine was started."""
    if not _verdicts and directory.accelerator.exists():
        _verdicts.append(directory.accelerator.read_bytes())
