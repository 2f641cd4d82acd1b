"""The folders that are never shared."""

import os
import tempfile
from pathlib import Path

import pytest

from vm.host import paths, private_folders
from vm.host.paths import Home, home_at


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Home, Path]:
    """A home whose path is too long for sockets, and the default home; both exist."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("state" * 30)))  # too long for sockets
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setattr(paths, "SOCKET_PATH_LIMIT", len(str(tmp_path)) + 60)
    home = home_at(tmp_path / ("long" * 30))
    for folder in (home.root, home.run, paths.default_root() / "run"):
        folder.mkdir(parents=True)
    return home, paths.default_root()


def test_private_folders_are_those_of_this_home_and_the_default_home(
    homes: tuple[Home, Path], tmp_path: Path
) -> None:
    home, default = homes
    other = tmp_path / "t" / "galley-0123456789ab"
    other.mkdir()
    (tmp_path / "t" / "galley-of-ann").mkdir()
    (tmp_path / "t" / "galley-000000000000").symlink_to(tmp_path)
    (tmp_path / "t" / "galley-111111111111").mkdir()
    os.chown(tmp_path / "t" / "galley-111111111111", 12345, 12345)
    found = private_folders.of(home)
    assert set(found) == {str(home.root), str(home.run), str(default), str(other)}
    assert private_folders.inside(str(tmp_path / "t"), found) == tuple(
        sorted((str(home.run), str(other)))
    )
    assert private_folders.inside(str(default), found) == ()


def test_a_private_folder_is_recognized_by_its_identity(
    homes: tuple[Home, Path], tmp_path: Path
) -> None:
    home, default = homes
    known = private_folders.identities(private_folders.of(home))
    held = (home.root, home.root / "machine" / "id_ed25519", default / "run")
    for path in held:
        assert private_folders.holds(path, known), path
    for path in (tmp_path, default.parent, tmp_path / "t", Path(f"{home.root}2")):
        assert not private_folders.holds(path, known), path
    os.rename(default.parent, tmp_path / "renamed")
    assert private_folders.holds(tmp_path / "renamed" / default.name / "settings.toml", known)


def test_the_folders_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of the user").mkdir()
    (tmp_path / "link").symlink_to("of the user")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "link"))
    assert paths.temporary_folders() == tuple(
        sorted((os.path.realpath("/tmp"), str(tmp_path / "of the user")))
    )
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert paths.temporary_folders() == (os.path.realpath("/tmp"),)
