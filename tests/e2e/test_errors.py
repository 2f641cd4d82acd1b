"""Failures on a real machine: each has a sentence and a hint, loses nothing and can be fixed."""

import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley

TRACEBACK = b"Traceback"
SUPERBLOCK = 1024  # offset of the ext4 superblock, which is as long


def _fails(galley: Galley, *words: str) -> str:
    """Checks that the command fails without a traceback; returns its output."""
    done = galley.run(*words, check=False)
    output = done.stdout + done.stderr
    assert done.returncode != 0, output
    assert TRACEBACK not in output
    return output.decode()


def _path_with(tmp_path: Path, programs: dict[str, str]) -> str:
    """A PATH of nothing but these shell scripts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in programs.items():
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return str(folder)


def test_a_start_without_qemu_fails(fresh: Galley, tmp_path: Path) -> None:
    fresh.env["PATH"] = _path_with(tmp_path, {})
    output = _fails(fresh, "start")
    assert "qemu" in output.lower()
    assert "install" in output.lower()


def test_a_start_with_too_old_a_qemu_fails(fresh: Galley, tmp_path: Path) -> None:
    old = {"qemu-system-x86_64": "echo 'QEMU emulator version 4.2.1'"}
    fresh.env["PATH"] = _path_with(tmp_path, old)
    output = _fails(fresh, "start")
    assert "4.2" in output


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_start_without_space_for_the_data_disk_fails(small_disk: Path, images: Path) -> None:
    galley = Galley(small_disk / "home", images)
    output = _fails(galley, "start")
    assert "Free some space" in output
    assert not galley.machine.data_disk.exists() or galley.machine.data_disk.stat().st_blocks == 0
    galley.remove()


def test_a_home_that_cannot_be_written_is_an_error(fresh: Galley) -> None:
    fresh.env["GALLEY_HOME"] = "/proc/galley"
    assert "GALLEY_HOME" in _fails(fresh, "start")


def test_a_home_with_a_long_path_works(tmp_path: Path, images: Path) -> None:
    """Sockets move to a short directory, and everything works."""
    galley = Galley(tmp_path / ("d" * 60) / ("e" * 60), images)
    assert len(os.fsencode(galley.home.docker_socket)) < 104
    galley.run("settings", "set", "backend", "fake")
    galley.start()
    assert galley.status()["state"] == "running"
    galley.remove()


def test_a_home_whose_path_the_system_does_not_allow_is_an_error(fresh: Galley) -> None:
    fresh.env["GALLEY_HOME"] = "/tmp/" + "x" * 300
    assert "GALLEY_HOME" in _fails(fresh, "start")


def test_stale_files_and_two_starts_at_once(fresh: Galley) -> None:
    """Files of a crash do not prevent a start, and two starts at once start one machine."""
    fresh.home.run.mkdir(parents=True, exist_ok=True)
    for stale in ("supervisor.pid", "supervisor.lock", "docker.sock.lock"):
        (fresh.home.run / stale).write_text("999999\n")
    for stale in ("docker.sock", "qmp.sock", "control.sock"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(fresh.home.run / stale))
    fresh.machine.root.mkdir(parents=True, exist_ok=True)
    fresh.machine.running.write_text('{"pid": 1}')
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: fresh.run("start", check=False), range(2)))
    assert [done.returncode for done in both] == [0, 0], both
    assert len(fresh.machines()) == 1
    assert fresh.answers()


def test_a_damaged_data_disk_is_reported_and_left_unchanged(used: Galley) -> None:
    """It is not formatted: with the superblock restored, its content is there."""
    used.start()
    used.run("stop")
    disk = used.machine.data_disk
    with disk.open("r+b") as file:
        file.seek(SUPERBLOCK)
        good = file.read(SUPERBLOCK)
        file.seek(SUPERBLOCK)
        file.write(bytes(SUPERBLOCK))
    output = _fails(used, "start")
    assert "data disk is damaged" in output
    assert "galley start --repair" in output
    assert not used.machines()
    with disk.open("r+b") as file:
        file.seek(SUPERBLOCK)
        assert file.read(SUPERBLOCK) == bytes(SUPERBLOCK), "the disk was written to"
        file.seek(SUPERBLOCK)
        file.write(good)
    used.start()
    assert used.docker("run", "--rm", IMAGE, "echo", "there").stdout == b"there\n"


def test_repair_restores_a_damaged_superblock(used: Galley) -> None:
    """ext4 keeps copies of its superblock: --repair uses one if the first is damaged."""
    used.start()
    used.run("stop")
    with used.machine.data_disk.open("r+b") as file:
        file.seek(SUPERBLOCK)
        file.write(bytes(SUPERBLOCK))
    _fails(used, "start")
    used.run("start", "--repair")
    assert used.docker("run", "--rm", IMAGE, "echo", "there").stdout == b"there\n"


def test_a_dockerd_that_crashes_on_start_is_reported(galley: Galley) -> None:
    """The machine runs on, the error is reported, and dockerd starts once the cause is removed."""
    database = "/var/lib/docker/volumes/metadata.db"
    galley.run("shell", "cp", database, "/var/lib/docker/kept.db")
    galley.run("shell", "sh", "-c", f"echo garbage > {database}; kill -9 $(pidof dockerd)")
    galley.wait_for(lambda: not galley.answers(), "dockerd is down")
    output = _fails(galley, "restart")
    assert "Docker Engine does not start" in output
    status = galley.status()
    assert status["state"] == "running"
    assert status["engine"]["reachable"] is False
    refused = galley.docker("ps", check=False)
    assert b"Docker Engine" in refused.stderr
    galley.run("shell", "mv", "/var/lib/docker/kept.db", database)
    galley.wait_for(galley.answers, "dockerd starts by itself")
    galley.start()
    assert galley.status()["problems"] == []


def test_more_cpus_or_memory_than_the_host_has_are_refused(fresh: Galley) -> None:
    output = _fails(fresh, "settings", "set", "cpus", "4000")
    assert "cpus" in output
    output = _fails(fresh, "settings", "set", "memory", "9000GiB")
    assert "memory" in output
    assert "did you mean" in _fails(fresh, "settings", "set", "memroy", "2GiB").lower()
    fresh.home.settings.write_text("version = 1\ncpus = 4000\n")
    assert any("cpus" in problem["summary"] for problem in fresh.status()["problems"])
