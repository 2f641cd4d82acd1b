"""Shares by SFTP when the supervisor ends: file operations block, and continue.

Next: `engine/guest/files/source/sftp_line.c`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley
from vm.host import process

NAME = "writer"  # of the container
# Counts in a file that stays open, and in one that is created and renamed each time.
COUNT = """
exec 3>> /shared/numbers; n=0
while true; do
  n=$((n + 1)); echo $n >&3; echo $n > /shared/new; busybox mv /shared/new /shared/last
  read -r seen < /shared/last; [ "$seen" = $n ] || exit 1
done
"""
WRITE_ON_SIGTERM = (
    'trap "echo ended > /shared/ended; exit 0" TERM; while true; do usleep 50000; done'
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Galley]:
    """A Galley that shares `shared` by SFTP. Tests may leave it running or stopped."""
    root = tmp_path_factory.mktemp("l")
    (root / "shared").mkdir()
    galley = Galley(root / "home", images)
    galley.take_one_cpu()
    galley.run("settings", "set", "share_by", "sftp")
    galley.run("settings", "set", "shares", str(root / "shared"))
    galley.start()
    galley.load_image()
    assert galley.status()["vm"]["share_by"] == "sftp"
    yield galley
    galley.remove()


@pytest.fixture
def shared(engine: Galley) -> Iterator[Path]:
    """The folder, for a test that starts a container in it."""
    engine.start()
    folder = engine.home.root.with_name("shared")
    yield folder
    engine.start()
    engine.docker("rm", "--force", NAME)
    for file in folder.iterdir():
        file.unlink()


@pytest.fixture
def counting(engine: Galley, shared: Path) -> Callable[[], None]:
    """A function that waits until a container counts on, and checks that no number is missing."""
    words = ("-d", "--name", NAME, "-v", f"{shared}:/shared", "--init", IMAGE)
    engine.docker("run", *words, "sh", "-c", COUNT)

    def numbers() -> list[int]:
        file = shared / "numbers"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def check_it_counts_on() -> None:
        until = len(numbers()) + 10
        engine.wait_for(lambda: len(numbers()) > until, "it counts on")
        seen = numbers()
        assert seen == list(range(1, len(seen) + 1))
        inspected = engine.docker("inspect", "-f", "{{.State.Running}} {{.RestartCount}}", NAME)
        assert inspected.stdout == b"true 0\n"

    check_it_counts_on()
    return check_it_counts_on


def test_the_supervisor_is_killed(engine: Galley, counting: Callable[[], None]) -> None:
    for _ in range(3):
        process.end(engine.supervisor_identity(), force=True)
        engine.start()
        counting()


def test_the_machine_is_suspended(engine: Galley, counting: Callable[[], None]) -> None:
    for _ in range(3):
        engine.run("suspend")
        assert engine.machines() == []
        engine.start()
        assert "Resuming the machine" in [step["step"] for step in engine.status()["boot"]]
        counting()


@pytest.mark.parametrize("words", [("stop",), ("stop", "--cold")])
def test_a_stopped_containers_last_writes_are_on_the_host(
    engine: Galley, shared: Path, words: tuple[str, ...]
) -> None:
    mount = ("-v", f"{shared}:/shared", "--stop-signal", "TERM")
    engine.docker("run", "-d", "--name", NAME, *mount, IMAGE, "sh", "-c", WRITE_ON_SIGTERM)
    engine.run(*words)
    assert (shared / "ended").read_text() == "ended\n"
    assert engine.status()["resumable"] is (words == ("stop",))
