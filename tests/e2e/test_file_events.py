"""File events of the host reach watchers in containers: each kind of change, once.

The watcher is Debian's inotifywait; one Galley for each way to share.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.e2e.galley import SOON, Galley
from tests.e2e.watchers import WATCHER, Watcher, watcher_tar
from vm.host import process

numbers = itertools.count()


class Shared(msgspec.Struct, frozen=True):
    """A Galley with the folders `rw` and `ro` (read-only)."""

    galley: Galley
    root: Path
    by: str

    def watch(self, folder: Path, *words: str, mode: str = "rw") -> Watcher:
        return wait_until_watched(
            Watcher(self.galley.docker_host, folder, *words, mode=mode), folder
        )


@pytest.fixture(scope="module", params=["virtiofs", "sftp"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, images: Path
) -> Iterator[Shared]:
    root = tmp_path_factory.mktemp("e")
    for name in ("rw", "ro"):
        (root / name).mkdir()
    galley = Galley(root / "home", images)
    galley.run("settings", "set", "cpus", "2")
    galley.run("settings", "set", "shares", f"{root}/rw")
    galley.run("settings", "set", "read_only_shares", f"{root}/ro")
    galley.run("settings", "set", "share_by", request.param)
    galley.start()
    galley.docker("import", "--change", 'CMD ["sh"]', "-", WATCHER, stdin=watcher_tar())
    yield Shared(galley, root, request.param)
    galley.remove()


@pytest.fixture
def folder(shared: Shared) -> Path:
    made = shared.root / "rw" / f"f{next(numbers)}"
    made.mkdir()
    return made


@pytest.fixture
def watcher(shared: Shared, folder: Path) -> Iterator[Watcher]:
    (folder / "file").write_text("before")
    made = shared.watch(folder)
    yield made
    made.close()


def wait_until_watched(watcher: Watcher, folder: Path) -> Watcher:
    """The host begins to watch a folder only after its container has started."""
    for number in range(100):
        (folder / f"ready{number}").touch()
        if watcher.reports(f"CREATE /x/ready{number}", 0.3):
            break
    events_of(watcher, folder, lambda: None)
    return watcher


def events_of(watcher: Watcher, folder: Path, work: Callable[[], object]) -> list[str]:
    """The events that the watcher reports for `work`; a new folder marks the end."""
    work()
    last = f"end{next(numbers)}"
    (folder / last).mkdir()
    return watcher.take_until(f"CREATE,ISDIR /x/{last}")


def test_an_edited_file(watcher: Watcher, folder: Path) -> None:
    events = events_of(watcher, folder, lambda: (folder / "file").write_text("after"))
    assert events == ["MODIFY /x/file", "CLOSE_WRITE,CLOSE /x/file"]


def test_create_rename_and_delete(watcher: Watcher, folder: Path) -> None:
    def work() -> None:
        (folder / "new").write_text("1")
        (folder / "new").rename(folder / "newer")
        (folder / "newer").unlink()

    # A change to a name that no longer exists when it could be reported is not reported.
    kinds = ("CREATE ", "MOVED_FROM ", "MOVED_TO ", "DELETE ")
    assert [line for line in events_of(watcher, folder, work) if line.startswith(kinds)] == [
        *("CREATE /x/new", "MOVED_FROM /x/new", "MOVED_TO /x/newer", "DELETE /x/newer")
    ]


def test_a_file_saved_by_a_rename(watcher: Watcher, folder: Path) -> None:
    def save() -> None:
        (folder / ".file.swap").write_text("after")
        (folder / ".file.swap").rename(folder / "file")

    assert events_of(watcher, folder, save)[-2:] == ["MOVED_FROM /x/.file.swap", "MOVED_TO /x/file"]


def test_nested_new_folders(watcher: Watcher, folder: Path) -> None:
    deep = folder / "a" / "b" / "c"
    deep.mkdir(parents=True)
    watcher.wait_for("CREATE,ISDIR /x/a")
    # As on any Linux, a watcher sees changes in a new folder only once it watches that, too.
    for number in range(100):
        (deep / f"try{number}").touch()
        if watcher.reports(f"CREATE /x/a/b/c/try{number}", 0.3):
            break
    events_of(watcher, folder, lambda: None)
    events = events_of(watcher, folder, lambda: (deep / "file").write_text("1"))
    path = "/x/a/b/c/file"
    assert events == [f"CREATE {path}", f"MODIFY {path}", f"CLOSE_WRITE,CLOSE {path}"]
    moved = events_of(watcher, folder, lambda: (folder / "a" / "b").rename(folder / "b"))
    assert moved[:2] == ["MOVED_FROM,ISDIR /x/a/b", "MOVED_TO,ISDIR /x/b"]
    gone = events_of(watcher, folder, lambda: shutil.rmtree(folder / "b"))
    assert "DELETE,ISDIR /x/b" in gone


def test_reporting_an_event_does_not_change_the_file(watcher: Watcher, folder: Path) -> None:
    file = folder / "file"
    os.utime(file, ns=(1, 1_000_000_007))
    events = events_of(watcher, folder, lambda: file.chmod(0o604))
    assert events[-1] == "ATTRIB /x/file"
    assert file.stat().st_mtime_ns == 1_000_000_007
    assert file.read_text() == "before"


def test_a_change_by_a_container_is_reported_twice_at_most(
    shared: Shared, watcher: Watcher, folder: Path
) -> None:
    """Once by the guest, and once more by the host."""
    words = ("run", "--rm", "-v", f"{folder}:/y", WATCHER, "sh", "-c")
    writes = "for i in 1 2 3 4 5 6 7 8 9; do echo $i > /y/made; done"
    events = events_of(watcher, folder, lambda: shared.galley.docker(*words, writes))
    assert 19 <= len(events) <= 2 * 28
    assert events_of(watcher, folder, lambda: None) == []


def test_a_watcher_reads_the_new_content_after_an_event(shared: Shared, folder: Path) -> None:
    """Not the guest's cached content of the file."""
    (folder / "file").write_text("")
    watch_and_read = (
        "inotifywait -m -e close_write --format x /x | while read _; do cat /x/file; echo; done"
    )
    words = ["docker", "-H", shared.galley.docker_host, "run", "--rm", "--name", "reader"]
    words += ["-v", f"{folder}:/x"]
    reader = shared.galley.popen([*words, WATCHER, "sh", "-c", f"cat /x/file; {watch_and_read}"])
    assert reader.stdout is not None
    while b"established" not in reader.stdout.readline():
        assert reader.poll() is None
    shared.watch(folder).close()
    for number in range(1, 10):
        (folder / "file").write_text(f"{number}" * number)
        while (line := reader.stdout.readline().strip()) == b"%d" % (number - 1) * (number - 1):
            assert reader.poll() is None
        assert line == b"%d" % number * number
    shared.galley.docker("rm", "-f", "reader")
    reader.wait(30)
    reader.stdout.close()


def test_watchers_of_single_files(shared: Shared, folder: Path) -> None:
    """Each file is deleted right after a change: the change's event must not drop the watch."""
    files = [folder / f"file{number}" for number in range(20)]
    for file in files:
        file.write_text("0")
    watcher = Watcher(shared.galley.docker_host, folder, *(f"/x/{file.name}" for file in files))
    for _ in range(100):
        files[0].write_text("1")
        if watcher.reports("MODIFY /x/file0", 0.3):
            break
    for file in files:
        file.write_text("2")
        file.unlink()
    for file in files:
        watcher.wait_for(f"MODIFY /x/{file.name}")
        watcher.wait_for(f"DELETE_SELF /x/{file.name}")
    watcher.close()


def test_watchers_in_a_read_only_share(shared: Shared) -> None:
    folder = shared.root / "ro"
    (folder / "file").write_text("1")
    watcher = shared.watch(folder, mode="ro")
    events = events_of(watcher, folder, (folder / "file").unlink)
    assert events == ["DELETE /x/file"]
    watcher.close()


def test_a_thousand_files_at_once(watcher: Watcher, folder: Path) -> None:
    def work() -> None:
        for number in range(1000):
            (folder / f"n{number}").write_text("1")

    events = events_of(watcher, folder, work)
    for kind in ("CREATE", "CLOSE_WRITE,CLOSE"):
        lines = [line for line in events if line.startswith(f"{kind} ")]
        assert lines == [f"{kind} /x/n{number}" for number in range(1000)]


def _check_every_event_arrives(shared: Shared, folder: Path, name: str) -> None:
    """Once a container has seen one event, it sees each change soon and once."""
    made = [folder / f"sure{next(numbers)}" for _ in range(20)]
    for file in made:
        file.touch()
    lines = [f"/x/{file.name}".encode() for file in made]

    def all_are_reported() -> bool:
        stdout = shared.galley.docker("logs", name).stdout.splitlines()
        return [line for line in stdout if b"/sure" in line] == lines

    shared.galley.wait_for(all_are_reported, "every change is reported", 20.0)


def test_the_next_supervisor_reports_events(shared: Shared, folder: Path) -> None:
    words = ("run", "-d", "--name", "stays", "-v", f"{folder}:/x", WATCHER, "inotifywait")
    shared.galley.docker(*words, "-m", "-e", "create", "--format", "%w%f", "/x")
    process.end(shared.galley.supervisor_identity(), force=True)
    shared.galley.start()

    def is_reported() -> bool:
        (folder / f"new{next(numbers)}").touch()
        return b"/x/new" in shared.galley.docker("logs", "stays").stdout

    shared.galley.wait_for(is_reported, "the next supervisor reports events", SOON)
    _check_every_event_arrives(shared, folder, "stays")
    shared.galley.docker("rm", "-f", "stays")


def test_the_next_machine_reports_events(shared: Shared, folder: Path) -> None:
    words = ["run", "-d", "--restart", "always", "--name", "again", "--stop-signal", "KILL"]
    words += ["-v", f"{folder}:/x", WATCHER]
    shared.galley.docker(*words, *("inotifywait", "-m", "-e", "create", "--format", "%w%f", "/x"))
    shared.galley.run("restart")

    def is_reported() -> bool:
        (folder / f"new{next(numbers)}").touch()
        return b"/x/new" in shared.galley.docker("logs", "again").stdout

    shared.galley.wait_for(is_reported, "the next machine reports events", SOON)
    _check_every_event_arrives(shared, folder, "again")
    shared.galley.docker("rm", "-f", "again")
    assert shared.galley.status()["problems"] == []
