"""Snapshots of a machine under load, and restoring them."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.databases import Redis
from tests.e2e.galley import GALLEY, IMAGE, Galley
from vm.host import sparse


@pytest.fixture
def redis(galley: Galley) -> Iterator[Redis]:
    made = Redis(galley)
    yield made
    made.remove()


def names(galley: Galley) -> list[str]:
    return [one["name"] for one in json.loads(galley.run("snapshot", "list", "--json").stdout)]


def test_a_database_under_load_is_as_it_was_at_the_snapshot(galley: Galley, redis: Redis) -> None:
    redis.begin_writing()
    vm, before = galley.vm_identity(), redis.count()
    galley.run("snapshot", "create", "before")
    after = redis.count()
    assert galley.vm_identity() == vm
    redis.wait_for_more(100)  # the file system is not left frozen
    galley.docker("run", "--name", "later", "-v", "later:/data", IMAGE, "echo", "there")

    [kept] = json.loads(galley.run("snapshot", "list", "--json").stdout)
    assert kept["settled"], "its file system was frozen"
    disk, copy = galley.machine.data_disk, galley.machine.snapshot_disk("before")
    assert copy.stat().st_size == disk.stat().st_size == kept["disk_bytes"]
    assert sparse.allocated(copy) < 2 * sparse.allocated(disk)

    galley.run("snapshot", "restore", "before", "--yes")
    assert galley.status()["state"] == "running"
    assert galley.vm_identity() != vm
    assert b"later" not in galley.docker("ps", "-a").stdout
    assert b"later" not in galley.docker("volume", "ls").stdout
    redis.check_files()
    galley.docker("start", "redis")
    redis.wait_until_it_answers()
    assert before <= redis.check_content() <= after
    redis.begin_writing()
    redis.check_content()
    galley.run("snapshot", "delete", "before")
    assert names(galley) == []


def test_a_full_disk_is_an_error_before_anything_is_written(galley: Galley) -> None:
    """The machine runs on, and its file system does not stay frozen."""
    place = galley.machine.snapshots
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], check=True)
    try:
        done = galley.run("snapshot", "create", "one", check=False)
        assert done.returncode == 4
        assert b"MiB are free" in done.stderr
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", place], check=True)
    word = ["run", "--rm", "-v", "free:/data", IMAGE, "sh", "-c", "echo on > /data/a && sync"]
    galley.docker(*word)
    galley.docker("volume", "rm", "free")


def test_a_snapshot_of_a_stopped_engine_starts_its_containers(galley: Galley) -> None:
    """With a cold start, and with a trace of it."""
    words = ["run", "-d", "--name", "kept", "--restart", "unless-stopped", IMAGE]
    galley.docker(*words, "sleep", "100000")
    galley.run("stop")
    galley.run("snapshot", "create", "stopped")
    galley.machine.snapshot_disk(
        "stopped"
    ).touch()  # the memory image is dropped when the disk may have changed
    galley.run("snapshot", "restore", "stopped", "--yes")
    assert not galley.status()["resumable"]
    file = galley.home.root / "trace.json"
    galley.run("start", "--trace", str(file))
    running = galley.docker("ps", "--format", "{{.Names}}").stdout.split()
    assert b"kept" in running, "the container ran when the engine was stopped"
    galley.docker("rm", "-f", "kept")
    galley.run("snapshot", "delete", "stopped")
    check_trace(file)


def test_a_snapshot_of_a_suspended_machine_has_its_memory(galley: Galley) -> None:
    """After each restore its container continues from the number in its memory."""
    count = "i=0; while true; do i=$((i+1)); echo $i; busybox usleep 100000; done"
    galley.docker("run", "-d", "--name", "counting", IMAGE, "sh", "-c", count)
    galley.run("suspend")
    galley.run("snapshot", "create", "asleep")
    [kept] = json.loads(galley.run("snapshot", "list", "--json").stdout)
    assert kept["memory_bytes"] > 0
    galley.run("start")
    first = len(numbers(galley))
    galley.wait_for(lambda: len(numbers(galley)) > first + 80, "the container counts")
    for _ in range(2):
        galley.run("snapshot", "restore", "asleep", "--yes")
        counted = numbers(galley)
        assert 0 < len(counted) < first + 80
        assert counted == list(range(1, len(counted) + 1)), "the container was not restarted"
    galley.run("snapshot", "delete", "asleep")
    galley.docker("rm", "-f", "counting")


def test_a_snapshot_of_a_running_machine_with_memory(galley: Galley) -> None:
    """The machine runs on. After a restore its container continues from the number in its memory;
    with --cold it starts anew, by its restart policy."""
    count = "i=0; while true; do i=$((i+1)); echo $i; busybox usleep 100000; done"
    words = ["run", "-d", "--name", "counting", "--restart", "always", IMAGE]
    galley.docker(*words, "sh", "-c", count)
    galley.wait_for(lambda: len(numbers(galley)) > 10, "the container counts")
    made = galley.run("snapshot", "create", "awake", "--memory")
    assert b"with memory" in made.stdout
    [kept] = json.loads(galley.run("snapshot", "list", "--json").stdout)
    assert kept["memory_bytes"] > 0
    assert kept["settled"]
    seen = galley.status()
    assert (seen["state"], seen["problems"]) == ("running", [])
    first = len(numbers(galley))
    galley.wait_for(lambda: len(numbers(galley)) > first + 80, "it counts on")
    assert not galley.machine.auto_suspended.exists()

    galley.run("snapshot", "restore", "awake", "--yes")
    counted = numbers(galley)
    assert 10 < len(counted) < first + 80
    assert counted == list(range(1, len(counted) + 1)), "the container was not restarted"

    galley.run("snapshot", "restore", "awake", "--yes", "--cold")
    assert galley.status()["state"] == "running"
    galley.wait_for(lambda: numbers(galley).count(1) == 2, "it is restarted")
    galley.run("snapshot", "delete", "awake")
    galley.docker("rm", "-f", "counting")


def test_a_cancelled_snapshot_with_memory_lets_the_machine_run_on(galley: Galley) -> None:
    """Ctrl+C's signal arrives once the machine's memory is on the disk."""
    count = "i=0; while true; do i=$((i+1)); echo $i; busybox usleep 100000; done"
    galley.docker("run", "-d", "--name", "counting", IMAGE, "sh", "-c", count)
    with galley.popen([*GALLEY, "snapshot", "create", "never", "--memory"]) as client:
        galley.wait_for(galley.machine.suspended.exists, "the machine is suspended")
        client.send_signal(signal.SIGINT)
        assert client.wait(60) != 0
    assert names(galley) == []
    assert galley.status()["state"] == "running"
    first = len(numbers(galley))
    galley.wait_for(lambda: len(numbers(galley)) > first + 10, "it counts on")
    counted = numbers(galley)
    assert counted == list(range(1, len(counted) + 1)), "the container was not restarted"
    galley.docker("rm", "-f", "counting")


def numbers(galley: Galley) -> list[int]:
    return [int(line) for line in galley.docker("logs", "counting").stdout.split()]


def check_trace(file: Path) -> None:
    """Checks that the events of guest and host are on one clock."""
    events = json.loads(file.read_bytes())["traceEvents"]
    processes = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    ends = {
        (event["pid"], event["name"]): event["ts"] + event.get("dur", 0)
        for event in events
        if event["ph"] in "Xi"
    }
    host, guest = processes["this computer"], processes["guest"]
    # The same event on both sides. The host reads the console every 20 ms; the guest, which has
    # one busy CPU, may write a line some time after it has taken the line's time.
    for step, line in (
        ("Mounting the data disk", "disk ok"),
        ("Starting the Docker Engine", "engine"),
    ):
        late = ends[host, step] - ends[guest, line]
        assert -20_000 <= late <= 2_000_000, f"{step}: {late / 1000:.0f} ms"
    assert any(name.startswith("vm.backends.qemu.start: QEMU was spawned") for _, name in ends)
