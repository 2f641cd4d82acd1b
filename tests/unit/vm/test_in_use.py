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


def test_it_is_written_down_once(directory: MachineDir, tmp_path: Path) -> None:
    in_use.keep(directory, [str(tmp_path)])
    assert in_use.take(directory) == {str(tmp_path): file_identity.at(str(tmp_path))}
    assert in_use.take(directory) == {}
    directory.in_use.write_text("no json")
    assert in_use.take(directory) == {}


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_what_was_removed_or_replaced(tmp_path: Path, place: str) -> None:
    root = tmp_path if place == "disk" else Path("/dev/shm", tmp_path.name)
    folder, file, pipe = root / "folder", root / "file", root / "pipe"
    folder.mkdir(parents=True)
    file.touch()
    os.mkfifo(pipe)
    kept = {str(path): file_identity.at(str(path)) for path in (folder, file, pipe)}
    (folder / "new").touch()
    file.write_text("changed")
    assert in_use.replaced(kept) is None, "it may change"
    for _ in range(3):  # ext4 gives its number again
        shutil.rmtree(folder)
        assert in_use.replaced(kept) == str(folder)
        folder.mkdir()
        assert in_use.replaced(kept) == str(folder)
    shutil.rmtree(root)


def test_numbers_of_what_is_in_memory_end_with_this_computers_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those on a disk do not."""
    monkeypatch.setattr(file_identity, "BOOT", tmp_path / "boot")
    in_memory = Path("/dev/shm", tmp_path.name)
    in_memory.touch()
    found = []
    for boot in ("one", "two"):
        (tmp_path / "boot").write_text(boot)
        found.append((file_identity.at(str(in_memory)), file_identity.at(str(tmp_path))))
    in_memory.unlink()
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]
