"""Paths that containers used when the machine was suspended, and whether they are unchanged."""

import os
import shutil
from pathlib import Path

import pytest

from vm import in_use
from vm.directory import MachineDir
from vm.host import file_identity


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir(tmp_path / "machine", tmp_path, tmp_path)
    made.root.mkdir()
    return made


def test_a_record_is_taken_once(directory: MachineDir, tmp_path: Path) -> None:
    in_use.keep(directory, [str(tmp_path)])
    assert in_use.take(directory) == {str(tmp_path): file_identity.at(str(tmp_path))}
    assert in_use.take(directory) == {}
    directory.in_use.write_text("no json")
    assert in_use.take(directory) == {}


@pytest.mark.parametrize("file_system", ["disk", "memory"])
def test_a_removed_or_replaced_path_is_found(tmp_path: Path, file_system: str) -> None:
    root = tmp_path if file_system == "disk" else Path("/dev/shm", tmp_path.name)
    folder, file, pipe = root / "folder", root / "file", root / "pipe"
    folder.mkdir(parents=True)
    file.touch()
    os.mkfifo(pipe)
    kept = {str(path): file_identity.at(str(path)) for path in (folder, file, pipe)}
    (folder / "new").touch()
    file.write_text("changed")
    assert in_use.replaced(kept) is None, "their content may change"
    for _ in range(3):  # ext4 reuses the inode number
        shutil.rmtree(folder)
        assert in_use.replaced(kept) == str(folder)
        folder.mkdir()
        assert in_use.replaced(kept) == str(folder)
    shutil.rmtree(root)


def test_an_identity_in_a_tmpfs_ends_with_a_reboot_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identities on a disk stay valid."""
    monkeypatch.setattr(file_identity, "BOOT", tmp_path / "boot")
    in_memory = Path("/dev/shm", tmp_path.name)
    in_memory.touch()
    identities = []
    for boot in ("one", "two"):
        (tmp_path / "boot").write_text(boot)
        identities.append((file_identity.at(str(in_memory)), file_identity.at(str(tmp_path))))
    in_memory.unlink()
    assert identities[0][0] != identities[1][0]
    assert identities[0][1] == identities[1][1]
