"""The recipe's hash: the same for the same content, different after any change."""

import shutil
from pathlib import Path

import pytest

from engine.guest import recipe
from engine.guest.channels import Channel
from engine.guest.recipe import recipe_hash


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose files a test may change."""
    package = tmp_path / "guest"
    shutil.copytree(
        recipe.FILES.parent, package, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
    )
    monkeypatch.setattr(recipe, "FILES", package / "files")
    return package


def test_the_same_content_has_the_same_hash(copy: Path) -> None:
    here = recipe_hash()
    assert here == recipe_hash()
    assert len(here) == 16


@pytest.mark.parametrize("name", ["recipe.py", "rootfs.py", "files/skeleton/etc/dockerd.json"])
def test_a_change_of_any_file_changes_the_hash(copy: Path, name: str) -> None:
    before = recipe_hash()
    with (copy / name).open("a") as file:
        file.write("\n")
    assert recipe_hash() != before


def test_a_new_file_and_a_new_name_change_the_hash(copy: Path) -> None:
    before = recipe_hash()
    (copy / "files" / "usr" / "new").write_text("")
    added = recipe_hash()
    (copy / "files" / "usr" / "new").rename(copy / "files" / "usr" / "newer")
    assert len({before, added, recipe_hash()}) == 3


def test_channel_and_architecture_change_the_hash() -> None:
    hashes = {recipe_hash(channel, arch) for channel in Channel for arch in ("amd64", "arm64")}
    assert len(hashes) == 2 * len(Channel)


def test_every_script_of_the_guest_names_its_shell() -> None:
    """The build recognises a program by its first line."""
    for path in (recipe.FILES / "usr").rglob("*"):
        if path.is_file() and path.name != "prelude":
            assert path.read_bytes().startswith(b"#!/bin/sh\n"), path


def test_no_applet_hides_a_program() -> None:
    """A program from a package must not also be a link to busybox."""
    applets = set((recipe.FILES / "applets").read_text().split())
    programs = {Path(name).name for name in (*recipe.PROGRAMS, *recipe.LINKS)}
    assert not applets & programs - {"busybox"}
