"""The console log stays short and keeps Galley's lines, while another process appends to it."""

import os
import threading
from pathlib import Path

import pytest

from vm.guest import console
from vm.guest.console import BEGINNING, END, LIMIT, OWN, Console

BOOT = ["galley: linux", "galley: sshd", "[    3.1] galley: ready"]
NOISE = "\x1b]52;c;aGk=\x07 what a privileged container writes to ttyS0\n"


def flood(path: Path, size: int, text: str = NOISE) -> None:
    """Appends as QEMU does, without a limit."""
    with path.open("a") as file:
        file.write(text * (size // len(text)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "console.log"
    path.write_text("\n".join(("SeaBIOS", *BOOT)) + "\n")
    return path


def test_a_short_log_is_not_cut(log: Path) -> None:
    before = log.read_bytes()
    Console(log).cut()
    assert log.read_bytes() == before


def test_the_boot_and_the_last_lines_survive_every_cut(log: Path) -> None:
    for _ in range(5):
        flood(log, 3 * LIMIT)
        flood(log, 100, "the last line\n")
        Console(log).cut()
        assert log.stat().st_size <= BEGINNING + OWN + END + 100
    assert Console(log).lines() == ["linux", "sshd", "ready"]
    assert Console(log).tail(1) == "the last line"
    assert log.read_text().startswith("SeaBIOS\n")
    assert set(log.read_text().splitlines()[5:-9]) - {"", "the last line"} == {
        NOISE.strip(),
        "[the middle of this log is left out]",
    }


def test_galleys_lines_in_the_middle_are_kept(log: Path) -> None:
    """For example, why dockerd refused daemon.json, long after the boot."""
    flood(log, LIMIT)
    flood(log, 30, "galley: dockerd refused x\n")
    for _ in range(3):
        flood(log, LIMIT)
        Console(log).cut()
        assert Console(log).find("dockerd") == "dockerd refused x"
    flood(log, LIMIT, "galley: flood\n")  # by root in the guest
    Console(log).cut()
    assert log.stat().st_size <= BEGINNING + OWN + END + 100
    assert Console(log).lines()[:3] == ["linux", "sshd", "ready"]


def test_an_uncut_log_is_read_within_bounds(log: Path) -> None:
    """While no supervisor runs, nothing cuts it."""
    with log.open("r+b") as file:
        file.truncate(1 << 34)  # takes no space
    flood(log, 100, "\ngalley: late\n")
    assert Console(log).lines()[:3] == ["linux", "sshd", "ready"]
    assert Console(log).lines()[-1] == "late"
    Console(log).cut()
    assert log.stat().st_size < LIMIT


def test_a_log_is_cut_while_the_machine_runs(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "POLL", 0.01)
    has_ended = threading.Event()
    watcher = threading.Thread(target=Console(log).keep_short, args=(has_ended.wait,))
    watcher.start()
    with log.open("ab", buffering=0) as file:  # one descriptor all the time, like QEMU's
        for _ in range(200):
            file.write(NOISE.encode() * 1000)
        until = threading.Event()
        while os.fstat(file.fileno()).st_size > LIMIT:
            assert not until.wait(0.01)
        file.write(b"appended after a cut\n")
    has_ended.set()
    watcher.join(10)
    assert not watcher.is_alive()
    assert "appended after a cut" in log.read_text()
    assert Console(log).lines() == ["linux", "sshd", "ready"]


def test_a_missing_log_does_not_end_keep_short(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.unlink()
    answers = iter([False, False, True])
    Console(log).keep_short(lambda _seconds: next(answers))
    assert next(answers, None) is None
