"""Shares one probe of this computer's accelerators among all homes of a test run.

A new home probes KVM for 10 s if it is present and broken, and a run creates about 80 homes.
Next: `vm/backends/qemu/accel.py`.
"""

from vm.directory import MachineDir

_verdicts: list[bytes] = []


def lend(directory: MachineDir) -> None:
    """Copies the verdict of an earlier home, if there is one, to a new home."""
    if _verdicts and not directory.accelerator.exists():
        directory.root.mkdir(mode=0o700, exist_ok=True)
        directory.accelerator.write_bytes(_verdicts[0])


def keep(directory: MachineDir) -> None:
    """Keeps the verdict of a home in which a machine was started."""
    if not _verdicts and directory.accelerator.exists():
        _verdicts.append(directory.accelerator.read_bytes())
