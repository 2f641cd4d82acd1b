"""spec.json is written only when it changes; a damaged one is ignored."""

from pathlib import Path

import msgspec

from vm import last_spec
from vm.directory import MachineDir
from vm.types import MachineSpec

SPEC = MachineSpec(image="/images/one", cpus=2, memory_bytes=2 << 30, disk_bytes=64 << 30)


def directory_in(folder: Path) -> MachineDir:
    return MachineDir(folder / "machine", folder / "logs", folder / "run")


def test_a_kept_spec_is_read_back(tmp_path: Path) -> None:
    directory = directory_in(tmp_path)
    assert last_spec.read(directory) is None
    last_spec.keep(directory, SPEC)
    assert last_spec.read(directory) == SPEC


def test_an_unchanged_spec_is_not_written_again(tmp_path: Path) -> None:
    directory = directory_in(tmp_path)
    last_spec.keep(directory, SPEC)
    first = directory.spec.stat().st_ino  # a new file takes its place at each write
    last_spec.keep(directory, SPEC)
    assert directory.spec.stat().st_ino == first
    last_spec.keep(directory, msgspec.structs.replace(SPEC, cpus=4))
    assert directory.spec.stat().st_ino != first


def test_a_damaged_spec_is_ignored_and_replaced(tmp_path: Path) -> None:
    directory = directory_in(tmp_path)
    last_spec.keep(directory, SPEC)
    directory.spec.write_bytes(b'{"image"')
    assert last_spec.read(directory) is None
    last_spec.keep(directory, SPEC)
    assert last_spec.read(directory) == SPEC
