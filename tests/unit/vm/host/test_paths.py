"""The places of Galley's files, and the refusal of files of other users."""

import errno
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.other_user import ID
from vm.errors import DiskFull, HomeUnusable
from vm.host import ownership, private_folders
from vm.host.paths import (
    Home,
    check_home,
    default_root,
    find_home,
    home_at,
    make_home,
    temporary_folders,
    untrusted,
    unusable,
)

LONG = "x" * 90


@pytest.fixture
def home() -> Home:
    return make_home(find_home())


@pytest.fixture
def user_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Short paths for the user's own folders, and for /tmp."""
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        made = Path(folder)
        for name in ("runtime", "state", "tmp"):
            (made / name).mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(made / "runtime"))
        monkeypatch.setenv("XDG_STATE_HOME", str(made / "state"))
        monkeypatch.setattr(tempfile, "tempdir", str(made / "tmp"))
        yield made


def long_home(user_folders: Path) -> Home:
    return home_at(user_folders / LONG)


def give_away(path: Path) -> None:
    os.chown(path, ID, ID, follow_symlinks=False)


def replace_by_link(path: Path) -> None:
    """Replaces it by a link of the other user to the moved original."""
    path.rename(path.with_name("before"))
    path.symlink_to("before")
    give_away(path)


def open_to_others(path: Path) -> None:
    path.chmod(0o777)


MADE_BY_OTHERS: dict[str, Callable[[Home], object]] = {
    "root": lambda home: give_away(home.root),
    "run": lambda home: give_away(home.run),
    "machine": lambda home: give_away(home.machine),
    "images": lambda home: give_away(home.images),
    "logs": lambda home: give_away(home.logs),
    "link to the root": lambda home: replace_by_link(home.root),
    "link to run": lambda home: replace_by_link(home.run),
    "link to logs": lambda home: replace_by_link(home.logs),
    "settings": lambda home: give_away(home.settings),
    "control key": lambda home: give_away(home.run / "control.key"),
    "uuid": lambda home: give_away(home.machine / "uuid"),
    "snapshots": lambda home: give_away(home.machine / "snapshots"),
    "link in place of a log": lambda home: replace_by_link(home.logs / "supervisor.log"),
}


@pytest.mark.parametrize("entry", MADE_BY_OTHERS)
def test_a_file_of_another_user_is_refused(home: Home, entry: str) -> None:
    for file in (home.settings, home.run / "control.key", home.machine / "uuid"):
        file.touch()
    (home.logs / "supervisor.log").touch()
    (home.machine / "snapshots").mkdir()
    check_home(home)
    MADE_BY_OTHERS[entry](home)
    with pytest.raises(HomeUnusable, match="another user") as refused:
        check_home(home)
    assert "GALLEY_HOME" in refused.value.hint
    with pytest.raises(HomeUnusable, match="another user"):
        make_home(home)


def test_a_link_in_place_of_run_is_refused(home: Home) -> None:
    (home.root / "before").symlink_to(home.run.rename(home.root / "elsewhere"))
    home.run.symlink_to("before")
    for use in (check_home, make_home):
        with pytest.raises(HomeUnusable, match="is a link"):
            use(home)


def test_the_users_own_links_are_followed(home: Home, tmp_path: Path) -> None:
    for folder in (home.images, home.logs):
        shutil.move(folder, tmp_path / folder.name)
        folder.symlink_to(tmp_path / folder.name)
    (tmp_path / "images").chmod(0o755)
    check_home(make_home(home))
    assert (tmp_path / "images").stat().st_mode & 0o777 == 0o755
    (tmp_path / "images").chmod(0o775)
    with pytest.raises(HomeUnusable, match="open to other users"):
        check_home(home)


def test_make_home_removes_permissions_of_other_users(home: Home) -> None:
    folders = (home.root, home.run, home.machine, home.images, home.logs)
    for folder in folders:
        folder.chmod(0o777)
    with pytest.raises(HomeUnusable, match="open to other users"):
        check_home(home)
    make_home(home)
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 5


def test_a_missing_home_passes_the_check() -> None:
    check_home(find_home())


def test_a_short_home_has_its_run_directory_inside(user_folders: Path) -> None:
    assert home_at(user_folders / "short").run == user_folders / "short" / "run"


def test_a_long_home_uses_the_users_own_folders(
    user_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert long_home(user_folders).run.parent == user_folders / "runtime"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    made = make_home(long_home(user_folders))
    assert made.run.parent == user_folders / "state"
    assert made.run.stat().st_mode & 0o777 == 0o700


def test_tmp_is_the_last_resort(user_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(user_folders / LONG))
    assert long_home(user_folders).run.parent == user_folders / "tmp"


def old_run(user_folders: Path) -> Path:
    """A run directory of an earlier Galley, which always used /tmp, with a socket in it."""
    place = user_folders / "tmp" / long_home(user_folders).run.name
    place.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place / "qmp.sock"))
    return place


def test_a_run_directory_that_is_in_use_stays(user_folders: Path) -> None:
    old = old_run(user_folders)
    assert long_home(user_folders).run == old
    (old / "qmp.sock").unlink()
    assert long_home(user_folders).run.parent == user_folders / "runtime"


@pytest.mark.parametrize("spoil", [give_away, open_to_others, replace_by_link])
def test_a_run_directory_of_another_user_is_not_used(
    user_folders: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(old_run(user_folders))
    assert long_home(user_folders).run.parent == user_folders / "runtime"


def test_private_folders_include_run_directories_of_other_homes(user_folders: Path) -> None:
    mine, other = make_home(long_home(user_folders)), make_home(home_at(user_folders / f"{LONG}y"))
    assert {str(path) for path in (mine.root, mine.run, other.run)} <= set(private_folders.of(mine))


def test_files_keep_the_names_of_older_versions() -> None:
    home = Home(Path("/home"), Path("/run/galley"))
    named = (home.settings, home.daemon_config, home.machine, home.images, home.logs)
    assert [str(path) for path in named] == [
        "/home/settings.toml",
        "/home/daemon.json",
        "/home/machine",
        "/home/images",
        "/home/logs",
    ]
    assert str(home.docker_socket) == "/run/galley/docker.sock"


def test_a_short_run_directory_has_the_name_that_older_versions_use(user_folders: Path) -> None:
    name = long_home(user_folders).run.name
    digest = hashlib.sha256(str(user_folders / LONG).encode()).hexdigest()
    assert name == f"galley-{digest[:12]}"


def test_find_home_uses_galley_home_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data/of/ann")
    assert default_root() == Path("/data/of/ann/galley")
    monkeypatch.setenv("GALLEY_HOME", "")
    assert find_home() == Home(Path("/data/of/ann/galley"), Path("/data/of/ann/galley/run"))
    monkeypatch.setenv("GALLEY_HOME", "/elsewhere")
    assert find_home().root == Path("/elsewhere")


def test_a_relative_home_and_a_tilde_are_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    assert home_at("g/../h").root == tmp_path / "h"
    assert home_at("~/g").root == Path("/home/ann/g")


def test_a_socket_fits_into_the_shorter_of_the_two_limits(user_folders: Path) -> None:
    """macOS takes 104 bytes with the closing NUL; a socket has a suffix of the length of `xxxxxxxx`
    while it is replaced."""
    longest = 103 - len("/run/docker.sock.xxxxxxxx")
    fits = user_folders / ("x" * (longest - len(str(user_folders)) - 1))
    assert len(str(home_at(fits).run / "docker.sock.xxxxxxxx")) == 103
    assert home_at(fits).run == fits / "run"
    assert home_at(f"{fits}y").run.parent == user_folders / "runtime"


def test_a_home_whose_path_is_too_long_everywhere_is_reported(
    user_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(user_folders / LONG))
    monkeypatch.setattr(tempfile, "tempdir", str(user_folders / LONG))
    with pytest.raises(HomeUnusable, match="is too long for a socket") as refused:
        long_home(user_folders)
    assert "GALLEY_HOME" in refused.value.hint


def test_the_folders_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "link").symlink_to(own)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "link"))
    assert temporary_folders() == tuple(sorted((os.path.realpath("/tmp"), str(own))))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert temporary_folders() == (os.path.realpath("/tmp"),)


def test_a_home_whose_folders_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusable, match=f"use {tmp_path}/file/home: Not a dir") as refused:
        make_home(home_at(tmp_path / "file" / "home"))
    assert refused.value.hint == "Set GALLEY_HOME to a directory that you can write to."
    assert "Not a directory" in refused.value.details


@pytest.mark.parametrize("name", ["root", "run"])
def test_a_home_that_is_not_writable_is_reported(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    closed: Path = getattr(home, name)
    access = os.access
    needed = os.W_OK | os.X_OK
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
    with pytest.raises(HomeUnusable, match=f"{closed} is not writable") as refused:
        make_home(home)
    assert refused.value.details.startswith("[Errno 13]")
    modes: set[int] = set()

    def note(path: Path, mode: int) -> bool:
        modes.add(mode)
        return True

    monkeypatch.setattr(os, "access", note)
    make_home(home)
    assert modes == {needed}


def test_a_folder_that_root_made_for_the_user_is_used_unchanged(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.logs.chmod(0o755)
    monkeypatch.setattr(ownership, "own_ids", lambda: frozenset({ID}))
    make_home(home)
    assert home.logs.stat().st_mode & 0o777 == 0o755


def test_folders_are_made_for_this_user_alone(tmp_path: Path) -> None:
    home = make_home(home_at(tmp_path / "in" / "here"))
    folders = (home.root, home.run, home.machine, home.images, home.logs)
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 5


def test_a_folder_whose_mode_cannot_be_set_is_reported(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Path.chmod

    def refuse(path: Path, mode: int) -> None:
        if path == home.logs:
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        change(path, mode)

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(HomeUnusable, match=f"use {home.root}: Operation not permitted") as refused:
        make_home(home)
    assert str(home.logs) in refused.value.details


def test_a_run_directory_that_others_can_read_is_refused(home: Home) -> None:
    home.logs.chmod(0o755)
    check_home(home)
    home.run.chmod(0o750)
    with pytest.raises(HomeUnusable, match="open to other users"):
        check_home(home)


def test_a_full_disk_is_reported() -> None:
    error = unusable(Path("/home"), OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(error, DiskFull)
    assert error.summary == "There is no space left on the disk that holds /home."
    bare = unusable(Path("/home"), OSError("without a number"))
    assert bare.summary == "Galley cannot use /home: without a number."
    assert untrusted(Path("/home"), OSError("without a number")).summary == bare.summary
