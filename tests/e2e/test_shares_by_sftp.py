"""Shares by SFTP when the supervisor ends: file operations block, and continue.

Next: `engine/guest/files/source/sftp_line.c`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley
from vm.host import process

NAME = "writer"  # of the container
# Numbers by way of a file that stays open, and of one that is made and renamed each time.
COUNT = """
exec 3>> /shared/numbers; n=0
while true; do
  n=$((n + 1)); echo $n >&3; echo $n > /shared/new; busybox mv /shared/new /shared/last
  read -r seen < /shared/last; [ "$seen" = $n ] || exit 1
done
"""
LAST_WORDS = 'trap "echo ended > /shared/ended; exit 0" TERM; while true; do usleep 50000; done'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Galley]:
    """A Galley that shares `shared` by SFTP. Each test leaves it to the next, running or not."""
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
    """Waits until a container has counted on; none may be left out."""
    words = ("-d", "--name", NAME, "-v", f"{shared}:/shared", "--init", IMAGE)
    engine.docker("run", *words, "sh", "-c", COUNT)

    def numbers() -> list[int]:
        file = shared / "numbers"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def goes_on() -> None:
        until = len(numbers()) + 10
        engine.wait_for(lambda: len(numbers()) > until, "it counts on")
        seen = numbers()
        assert seen == list(range(1, len(seen) + 1))
        asked = engine.docker("inspect", "-f", "{{.State.Running}} {{.RestartCount}}", NAME)
        assert asked.stdout == b"true 0\n"

    goes_on()
    return goes_on


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
def test_the_last_words_of_who_ends_are_there(
    engine: Galley, shared: Path, words: tuple[str, ...]
) -> None:
    mount = ("-v", f"{shared}:/shared", "--stop-signal", "TERM")
    engine.docker("run", "-d", "--name", NAME, *mount, IMAGE, "sh", "-c", LAST_WORDS)
    engine.run(*words)
    assert (shared / "ended").read_text() == "ended\n"
    assert engine.status()["resumable"] is (words == ("stop",))
