"""Folders watched by this host's kernel, and the changes that the tree makes of its events."""

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.file_events.change import Change, Kind
from engine.file_events.inotify import OVERFLOW, Event, Inotify, parse
from engine.file_events.tree import Tree, outermost

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Watched:
    """A tree in a folder, read by the test itself."""

    def __init__(self, top: Path, most: int = 1000) -> None:
        self.top = top
        self.inotify = Inotify()
        self.tree = Tree(self.inotify, lambda: most, [str(top / "left-out")])
        self.seen: list[Change] = []
        self.marks = itertools.count()
        self.tree.follow([str(top)])
        self.settle()

    def settle(self) -> None:
        """Read every event up to now."""
        until = time.monotonic() + PATIENCE
        while self.tree.is_waiting():
            self.seen += self.tree.step()
        mark = self.top / f"mark{next(self.marks)}"
        mark.touch()
        while self.tree.is_waiting() or not any(str(mark) == one.path for one in self.seen):
            assert time.monotonic() < until, f"never seen: {mark}"
            self.seen += self.tree.step()
            self.seen += self.tree.see(self.inotify.read(0.01), time.time())
        mark.unlink()

    def after(self, work: Callable[[], object]) -> list[tuple[Kind, str]]:
        """The changes seen during `work`, with paths relative to the folder."""
        self.settle()
        self.seen = []
        work()
        self.settle()
        paths = ((Kind(one.mask), os.path.relpath(one.path, self.top)) for one in self.seen)
        return [(kind, path) for kind, path in paths if not path.startswith("mark")]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.inotify.close()


def test_a_file_is_made_written_renamed_and_deleted(watched: Watched) -> None:
    file = watched.top / "file"
    assert watched.after(lambda: file.write_text("1")) == [
        (Kind.CREATE, "file"),
        (Kind.MODIFY, "file"),
        (Kind.CLOSE_WRITE, "file"),
    ]
    assert watched.after(lambda: file.rename(watched.top / "new")) == [
        (Kind.MOVED_FROM, "file"),
        (Kind.MOVED_TO, "new"),
    ]
    first, second = (one.cookie for one in watched.seen if one.cookie)
    assert first == second
    assert watched.after((watched.top / "new").unlink) == [(Kind.DELETE, "new")]


def test_a_read_is_not_a_change(watched: Watched) -> None:
    file = watched.top / "file"
    file.write_text("1")
    assert watched.after(file.read_text) == []


def test_files_in_a_new_folder_are_reported_however_fast_they_appear(watched: Watched) -> None:
    def make() -> None:
        for number in range(50):
            deep = watched.top / f"n{number}" / "a" / "b"
            deep.mkdir(parents=True)
            (deep / "file").write_text("1")

    seen = set(watched.after(make))
    for number in range(50):
        for part in ("", "/a", "/a/b"):
            assert (Kind.CREATE | Kind.ISDIR, f"n{number}{part}") in seen
        assert (Kind.CREATE, f"n{number}/a/b/file") in seen
        assert (Kind.CLOSE_WRITE, f"n{number}/a/b/file") in seen
    later = watched.top / "n7" / "a" / "b" / "file"
    assert (Kind.CLOSE_WRITE, "n7/a/b/file") in watched.after(lambda: later.write_text("2"))


def test_files_in_a_renamed_folder_have_its_new_name(watched: Watched) -> None:
    (watched.top / "old" / "inner").mkdir(parents=True)
    (watched.top / "old" / "inner" / "file").touch()
    seen = watched.after(lambda: (watched.top / "old").rename(watched.top / "new"))
    assert seen == [
        (Kind.MOVED_FROM | Kind.ISDIR, "old"),
        (Kind.MOVED_TO | Kind.ISDIR, "new"),
    ]
    touched = watched.after((watched.top / "new" / "inner" / "file").unlink)
    assert touched == [(Kind.DELETE, "new/inner/file")]


def test_a_folder_moved_away_is_no_longer_watched(
    watched: Watched, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "gone"
    (watched.top / "here" / "inner").mkdir(parents=True)
    assert watched.after(lambda: (watched.top / "here").rename(outside)) == [
        (Kind.MOVED_FROM | Kind.ISDIR, "here")
    ]
    assert watched.after((outside / "inner" / "file").touch) == []
    back = watched.after(lambda: outside.rename(watched.top / "back"))
    assert back[0] == (Kind.MOVED_TO | Kind.ISDIR, "back")
    assert (Kind.CREATE, "back/inner/file") in back


def test_a_folder_that_is_deleted_and_recreated_is_watched(watched: Watched) -> None:
    folder = watched.top / "folder"

    def again() -> None:
        folder.mkdir()
        (folder / "file").touch()

    again()
    watched.settle()
    shutil.rmtree(folder)
    again()
    assert (Kind.DELETE, "folder/file") in watched.after((folder / "file").unlink)


def test_a_left_out_folder_is_not_watched(watched: Watched) -> None:
    def busy() -> None:
        (watched.top / "left-out" / "inner").mkdir(parents=True)
        (watched.top / "left-out" / "inner" / "file").touch()

    assert watched.after(busy) == []


def test_after_an_overflow_new_files_are_reported(watched: Watched) -> None:
    (watched.top / "kept").mkdir()
    (watched.top / "kept" / "old").touch()
    watched.settle()

    def lose() -> None:
        """Drop the events, as the kernel does at an overflow."""
        (watched.top / "new").mkdir()
        (watched.top / "new" / "file").touch()
        watched.inotify.read(0.0)
        watched.seen += watched.tree.see([Event(-1, OVERFLOW, 0, "")], time.time())

    seen = watched.after(lose)
    assert (Kind.CREATE | Kind.ISDIR, "new") in seen
    assert (Kind.CREATE, "new/file") in seen
    assert (Kind.DELETE, "new/file") in watched.after((watched.top / "new" / "file").unlink)


def test_no_more_watches_than_allowed(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"f{number}").mkdir()
    watched = Watched(tmp_path, most=5)
    full = [watched.tree.is_full]
    watched.tree.follow([])
    assert [*full, watched.tree.is_full] == [True, False]
    watched.inotify.close()


def test_a_single_file_is_watched(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    inotify = Inotify()
    tree = Tree(inotify, lambda: 10)
    tree.follow([str(file)])
    tree.step()
    file.write_text("1")
    (tmp_path / "other").touch()
    seen = tree.see(inotify.read(PATIENCE), time.time())
    assert seen == [Change(Kind.MODIFY, str(file)), Change(Kind.CLOSE_WRITE, str(file))]
    inotify.close()


def test_only_the_outermost_roots_are_walked() -> None:
    for order in itertools.permutations(["/a", "/a/b", "/ab", "/a/b/c"]):
        assert outermost(order) == {"/a", "/ab"}


def test_a_name_that_is_not_utf_8() -> None:
    data = b"\x01\0\0\0\x02\0\0\0\0\0\0\0\x08\0\0\0\xff\xfe\0\0\0\0\0\0"
    assert [os.fsencode(event.name) for event in parse(data)] == [b"\xff\xfe"]
