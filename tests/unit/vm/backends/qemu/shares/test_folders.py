"""Which file system shares folders, and the kernel words for it."""

import os
from pathlib import Path

import pytest

from vm.backends.qemu.shares import folders, virtiofsd
from vm.errors import SettingsError, ToolMissing
from vm.host.paths import Home
from vm.types import Share


def share(path: Path | str, read_only: bool = False) -> Share:
    return Share(str(path), str(path), read_only)


@pytest.fixture
def no_virtiofsd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(virtiofsd, "PLACES", ())


def test_virtiofs_is_the_default() -> None:
    assert folders.choose("auto") == "virtiofs"
    assert folders.choose("sftp") == "sftp"


def test_without_virtiofsd_the_default_is_sftp(no_virtiofsd: None) -> None:
    assert folders.choose("auto") == "sftp"
    with pytest.raises(ToolMissing, match="virtiofsd is not installed"):
        folders.choose("virtiofs")


def test_only_existing_folders_are_shared(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shares = (share(tmp_path), share(tmp_path / "file"), share(tmp_path / "gone"))
    assert folders.readable(shares) == shares[:1]


def test_names_are_encoded_as_single_kernel_words() -> None:
    words = folders.guest_words((share("/home/ann"), share('/a b,\u00e9%\\"', True)), "sftp")
    assert words == (
        "galley.share=share0,sftp,rw,/home/ann",
        "galley.share=share1,sftp,ro,/a%20b%2C%C3%A9%25%5C%22",
    )


def test_sftp_served_by_an_ordinary_user_has_its_own_kernel_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    shared = (share("/home/ann"),)
    assert folders.guest_words(shared, "sftp") == ("galley.share=share0,sftp-of-one,rw,/home/ann",)
    assert folders.guest_words(shared, "virtiofs") == ("galley.share=share0,virtiofs,rw,/home/ann",)


def test_shares_beyond_the_kernel_command_line_are_refused() -> None:
    with pytest.raises(SettingsError, match="too many"):
        folders.guest_words(tuple(share(f"/home/ann/folder-{n}") for n in range(50)), "virtiofs")


def test_the_guest_covers_private_folders_that_virtiofsd_cannot_cover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "my galley", tmp_path / "my galley" / "run")
    home.root.mkdir()
    shared = (Share(str(tmp_path), "/there"), share("/elsewhere"))
    assert folders.left_to_guest(shared, "virtiofs", home) == ()
    monkeypatch.setattr(virtiofsd, "can_cover", lambda: False)
    assert folders.left_to_guest(shared, "sftp", home) == (), "the SFTP server refuses them itself"
    covered = folders.left_to_guest(shared, "virtiofs", home)
    assert covered == ("/there/my galley",)
    words = folders.guest_words(shared, "virtiofs", covered)
    assert words[2:] == ("galley.cover=/there/my%20galley",)
    assert all(word.startswith(folders.WORDS) for word in words)
