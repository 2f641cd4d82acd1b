"""Failures on a real machine: a sentence, a hint, nothing lost, and a way out."""

import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley

NO_TRACEBACK = b"Traceback"
SUPERBLOCK = 1024  # offset of the ext4 superblock, which is as long


def _fails(galley: Galley, *words: str) -> str:
    """The command fails as a user would want it to; what it said."""
    done = galley.run(*words, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert NO_TRACEBACK not in said
    return said.decode()


def _path_with(tmp_path: Path, programs: dict[str, str]) -> str:
    """A PATH of nothing but these shell scripts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in programs.items():
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return str(folder)


def test_no_qemu(fresh: Galley, tmp_path: Path) -> None:
    fresh.env["PATH"] = _path_with(tmp_path, {})
    said = _fails(fresh, "start")
    assert "qemu" in said.lower()
    assert "install" in said.lower()


def test_qemu_too_old(fresh: Galley, tmp_path: Path) -> None:
    old = {"qemu-system-x86_64": "echo 'QEMU emulator version 4.2.1'"}
    fresh.env["PATH"] = _path_with(tmp_path, old)
    said = _fails(fresh, "start")
    assert "4.2" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_no_space_for_the_disk(small_disk: Path, images: Path) -> None:
    galley = Galley(small_disk / "home", images)
    said = _fails(galley, "start")
    assert "Free some space" in said
    assert not galley.machine.data_disk.exists() or galley.machine.data_disk.stat().st_blocks == 0
    galley.remove()


def test_home_that_cannot_be_written(fresh: Galley) -> None:
    fresh.env["GALLEY_HOME"] = "/proc/galley"
    assert "GALLEY_HOME" in _fails(fresh, "start")


def test_home_whose_path_is_long(tmp_path: Path, images: Path) -> None:
    """Sockets move to a short directory, and everything works."""
    galley = Galley(tmp_path / ("d" * 60) / ("e" * 60), images)
    assert len(os.fsencode(galley.home.docker_socket)) < 104
    galley.run("settings", "set", "backend", "fake")
    galley.start()
    assert galley.status()["state"] == "running"
    galley.remove()


def test_home_whose_path_is_too_long_for_the_system(fresh: Galley) -> None:
    fresh.env["GALLEY_HOME"] = "/tmp/" + "x" * 300
    assert "GALLEY_HOME" in _fails(fresh, "start")


def test_stale_files_and_two_starts_at_once(fresh: Galley) -> None:
    """What a crash left behind is no obstacle, and two starts are one."""
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


def test_a_damaged_data_disk(used: Galley) -> None:
    """It is told, not touched, and not formatted; with its bytes back everything is there."""
    used.start()
    used.run("stop")
    disk = used.machine.data_disk
    with disk.open("r+b") as file:
        file.seek(SUPERBLOCK)
        good = file.read(SUPERBLOCK)
        file.seek(SUPERBLOCK)
        file.write(bytes(SUPERBLOCK))
    said = _fails(used, "start")
    assert "data disk is damaged" in said
    assert "galley start --repair" in said
    assert not used.machines()
    with disk.open("r+b") as file:
        file.seek(SUPERBLOCK)
        assert file.read(SUPERBLOCK) == bytes(SUPERBLOCK), "it was written to"
        file.seek(SUPERBLOCK)
        file.write(good)
    used.start()
    assert used.docker("run", "--rm", IMAGE, "echo", "there").stdout == b"there\n"


def test_repair_mends_what_can_be_mended(used: Galley) -> None:
    """ext4 keeps copies of its superblock: with the first one gone, --repair finds another."""
    used.start()
    used.run("stop")
    with used.machine.data_disk.open("r+b") as file:
        file.seek(SUPERBLOCK)
        file.write(bytes(SUPERBLOCK))
    _fails(used, "start")
    used.run("start", "--repair")
    assert used.docker("run", "--rm", IMAGE, "echo", "there").stdout == b"there\n"


def test_dockerd_that_crashes_on_start(galley: Galley) -> None:
    """The machine stays up, the reason is told, and the engine comes when the reason is gone."""
    database = "/var/lib/docker/volumes/metadata.db"
    galley.run("shell", "cp", database, "/var/lib/docker/kept.db")
    galley.run("shell", "sh", "-c", f"echo garbage > {database}; kill -9 $(pidof dockerd)")
    galley.wait_for(lambda: not galley.answers(), "dockerd is down")
    said = _fails(galley, "restart")
    assert "Docker Engine does not start" in said
    status = galley.status()
    assert status["state"] == "running"
    assert status["engine"]["reachable"] is False
    refused = galley.docker("ps", check=False)
    assert b"Docker Engine" in refused.stderr
    galley.run("shell", "mv", "/var/lib/docker/kept.db", database)
    galley.wait_for(galley.answers, "dockerd is back by itself")
    galley.start()
    assert galley.status()["problems"] == []


def test_more_than_the_host_has(fresh: Galley) -> None:
    said = _fails(fresh, "settings", "set", "cpus", "4000")
    assert "cpus" in said
    said = _fails(fresh, "settings", "set", "memory", "9000GiB")
    assert "memory" in said
    assert "did you mean" in _fails(fresh, "settings", "set", "memroy", "2GiB").lower()
    fresh.home.settings.write_text("version = 1\ncpus = 4000\n")
    assert any("cpus" in problem["summary"] for problem in fresh.status()["problems"])
