"""Where the run directory is, and that nothing of another user's is taken for Galley's."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.other_user import ID
from vm.errors import HomeUnusable
from vm.host import private_folders
from vm.host.paths import Home, check_home, find_home, home_at, make_home

LONG = "x" * 90


@pytest.fixture
def home() -> Home:
    return make_home(find_home())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Short paths for a user's own folders, and for the one of all users."""
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        made = Path(folder)
        for name in ("runtime", "state", "tmp"):
            (made / name).mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(made / "runtime"))
        monkeypatch.setenv("XDG_STATE_HOME", str(made / "state"))
        monkeypatch.setattr(tempfile, "tempdir", str(made / "tmp"))
        yield made


def long_home(world: Path) -> Home:
    return home_at(world / LONG)


def give_away(path: Path) -> None:
    os.chown(path, ID, ID, follow_symlinks=False)


def replace_by_link(path: Path) -> None:
    """One of the other user's, to what was there before."""
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


@pytest.mark.parametrize("what", MADE_BY_OTHERS)
def test_what_another_user_made_is_refused(home: Home, what: str) -> None:
    for file in (home.settings, home.run / "control.key", home.machine / "uuid"):
        file.touch()
    (home.logs / "supervisor.log").touch()
    (home.machine / "snapshots").mkdir()
    check_home(home)
    MADE_BY_OTHERS[what](home)
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


def test_directories_that_were_open_are_closed(home: Home) -> None:
    folders = (home.root, home.run, home.machine, home.images, home.logs)
    for folder in folders:
        folder.chmod(0o777)
    with pytest.raises(HomeUnusable, match="open to other users"):
        check_home(home)
    make_home(home)
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 5


def test_nothing_there_is_fine() -> None:
    check_home(find_home())


def test_a_short_home_has_its_run_directory_inside(world: Path) -> None:
    assert home_at(world / "short").run == world / "short" / "run"


def test_a_long_home_uses_the_users_own_folders(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert long_home(world).run.parent == world / "runtime"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    made = make_home(long_home(world))
    assert made.run.parent == world / "state"
    assert made.run.stat().st_mode & 0o777 == 0o700


def test_tmp_is_the_last_resort(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(world / LONG))
    assert long_home(world).run.parent == world / "tmp"


def old_run(world: Path) -> Path:
    """As a Galley left it that knew the folder of all users only, with a socket in it."""
    place = world / "tmp" / long_home(world).run.name
    place.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place / "qmp.sock"))
    return place


def test_a_run_directory_that_is_in_use_stays(world: Path) -> None:
    old = old_run(world)
    assert long_home(world).run == old
    (old / "qmp.sock").unlink()
    assert long_home(world).run.parent == world / "runtime"


@pytest.mark.parametrize("spoil", [give_away, open_to_others, replace_by_link])
def test_one_of_another_user_is_never_in_use(world: Path, spoil: Callable[[Path], None]) -> None:
    spoil(old_run(world))
    assert long_home(world).run.parent == world / "runtime"


def test_directories_that_the_guest_must_not_see(world: Path) -> None:
    mine, other = make_home(long_home(world)), make_home(home_at(world / f"{LONG}y"))
    assert {str(path) for path in (mine.root, mine.run, other.run)} <= set(private_folders.of(mine))
