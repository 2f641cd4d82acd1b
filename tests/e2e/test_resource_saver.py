"""The resource saver: pauses an idle machine, and every request resumes it."""

import time
from collections.abc import Iterator

import pytest

from engine.bridge.unix import dial
from tests.e2e.databases import Redis
from tests.e2e.galley import GALLEY, IMAGE, SOON, Galley, busybox_tar
from vm.host import process

AFTER = 2.0  # seconds; less is too short for a busy computer
RIGHT = 0.1  # seconds that the machine's clock may be wrong


@pytest.fixture
def saving(galley: Galley) -> Iterator[Galley]:
    galley.run("settings", "set", "save_after", f"{AFTER:.0f}s")
    yield galley
    galley.run("settings", "unset", "save_after")
    galley.run("settings", "unset", "save_busy")
    names = ["ps", "-aq", "--filter", "label=saver"]
    if found := galley.docker(*names).stdout.decode().split():
        galley.docker("rm", "-f", *found)


@pytest.fixture
def redis(saving: Galley) -> Iterator[Redis]:
    made = Redis(saving)
    yield made
    made.remove()


def state(galley: Galley) -> str:
    return str(galley.status()["state"])


def wait_paused(galley: Galley) -> None:
    galley.wait_for(lambda: state(galley) == "paused", "the machine is paused", SOON)


def stays(galley: Galley, expected: str) -> None:
    """Checks that the state does not change for longer than a pause takes."""
    until = time.monotonic() + 2.5 * AFTER
    while time.monotonic() < until:
        assert state(galley) == expected


def stays_running(galley: Galley) -> None:
    stays(galley, "running")


def run(galley: Galley, *words: str) -> str:
    """Runs a labelled container in the background; returns its id."""
    done = galley.docker("run", "-d", "--init", "--label", "saver", *words)
    return done.stdout.decode().strip()


def test_the_status_keeps_the_pause_and_a_docker_request_ends_it(saving: Galley) -> None:
    pid = saving.vm_identity()
    for words in (["ps"], ["version"], ["run", "--rm", IMAGE, "echo", "awake"]):
        wait_paused(saving)
        report = saving.status()
        assert report["engine"]["reachable"]
        assert not report["problems"]
        assert b"Resource Saver" in saving.run("status").stdout
        assert state(saving) == "paused"
        saving.docker(*words)
        assert state(saving) == "running"
    assert saving.vm_identity() == pid


def test_an_event_stream_survives_a_pause_and_the_next_event_has_the_right_time(
    saving: Galley,
) -> None:
    """The machine's clock stands still in a pause and is set before the first request."""
    template = "{{.Action}} {{.Actor.ID}} {{.TimeNano}}"
    with saving.popen(
        ["docker", "-H", saving.docker_host, "events", "--format", template]
    ) as stream:
        assert stream.stdout is not None
        for number in range(2):
            wait_paused(saving)
            stays(saving, "paused")
            before = time.time()
            saving.docker("volume", "create", f"saver{number}")
            line = stream.stdout.readline()
            assert line.startswith(b"create saver%d " % number), (line, saving.log_tail())
            moment = line.split()[-1]
            assert before - RIGHT <= int(moment) / 1e9 <= time.time() + RIGHT
        stream.kill()
        wait_paused(saving)  # also after a stream whose client was killed
        saving.docker("volume", "rm", "saver0", "saver1")


def test_a_request_in_progress_prevents_a_pause(saving: Galley) -> None:
    """An upload that stalls half way."""
    tar = busybox_tar()
    head = f"POST /images/create?fromSrc=-&repo=half HTTP/1.1\r\nContent-Length: {len(tar)}\r\n"
    with dial(saving.home.docker_socket) as client:
        client.sendall(f"{head}Host: docker\r\nConnection: close\r\n\r\n".encode())
        client.sendall(tar[: len(tar) // 2])
        stays_running(saving)
        client.sendall(tar[len(tar) // 2 :])
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"sha256:" in answer
    wait_paused(saving)
    saving.docker("rmi", "half")


def test_a_shell_prevents_a_pause(saving: Galley) -> None:
    wait_paused(saving)
    with saving.popen([*GALLEY, "shell", "sh", "-c", "echo awake; exec sleep 1000"]) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"awake\n"
        stays_running(saving)
        shell.kill()
        shell.communicate()
    wait_paused(saving)


def test_running_containers_prevent_a_pause_and_paused_ones_do_not(saving: Galley) -> None:
    name = run(saving, IMAGE, "sleep", "1000")
    stays_running(saving)
    saving.docker("pause", name)
    wait_paused(saving)
    saving.docker("unpause", name)
    stays_running(saving)
    saving.docker("kill", name)
    wait_paused(saving)


def test_idle_containers_do_not_prevent_a_pause_with_save_busy(saving: Galley) -> None:
    saving.run("settings", "set", "save_busy", "true")
    name = run(saving, IMAGE, "sh", "-c", "while read line; do echo $line; done; sleep 1000")
    with saving.popen(["docker", "-H", saving.docker_host, "logs", "-f", name]) as log:
        wait_paused(saving)
        saving.docker("exec", name, "sh", "-c", "echo awake > /proc/1/fd/1")
        assert log.stdout is not None
        assert log.stdout.readline() == b"awake\n"
        log.kill()
        log.communicate()
    wait_paused(saving)


def test_the_next_supervisor_adopts_a_paused_machine(saving: Galley) -> None:
    wait_paused(saving)
    vm, old = saving.vm_identity(), saving.supervisor_identity()
    process.end(old, force=True)
    assert process.wait_gone(old, 10)
    assert state(saving) == "paused"
    assert not saving.status()["supervisor"]
    saving.run("restart", "--supervisor")
    assert state(saving) == "paused"
    assert saving.docker("ps").returncode == 0
    assert state(saving) == "running"
    assert saving.vm_identity() == vm
    wait_paused(saving)
    saving.start()
    assert state(saving) == "running"


def test_a_shell_resumes_a_paused_machine_without_a_supervisor(saving: Galley) -> None:
    wait_paused(saving)
    old = saving.supervisor_identity()
    process.end(old, force=True)
    assert process.wait_gone(old, 10)
    assert saving.run("shell", "echo", "awake").stdout == b"awake\n"
    assert state(saving) == "running"


def test_an_unused_machine_is_auto_suspended_and_the_first_use_resumes_it(saving: Galley) -> None:
    saving.run("settings", "set", "suspend_after", "2s")
    try:
        saving.docker("volume", "create", "away")
        saving.wait_for(lambda: bool(saving.status()["resumable"]), "it is suspended")
        assert saving.machines() == [], "no QEMU process holds memory"
        assert state(saving) == "stopped", "the status does not resume it"
        for _ in range(3):
            assert saving.status()["auto_suspended"]
            assert b"the first use resumes it" in saving.run("status").stdout
        assert saving.machines() == []
        with saving.popen(["docker", "-H", saving.docker_host, "events"]) as stream:
            stays(saving, "stopped")  # an idle event stream does not resume it
            saving.docker("volume", "create", "away2")
            assert stream.stdout is not None
            assert b"away2" in stream.stdout.readline()
            stream.kill()
            stream.communicate()
        saving.wait_for(lambda: bool(saving.status()["resumable"]), "again")
        assert b"away" in saving.docker("volume", "ls", "-q").stdout
        assert state(saving) == "running"
        saving.wait_for(lambda: bool(saving.status()["resumable"]), "again")
        saving.run("restart", "--supervisor")
        assert state(saving) == "stopped"
        assert saving.status()["auto_suspended"], "the next supervisor reads it from the disk"
        assert saving.docker("ps").returncode == 0
        assert not saving.status()["auto_suspended"]
        saving.wait_for(lambda: bool(saving.status()["resumable"]), "again")
        saving.run("stop")
        assert not saving.status()["auto_suspended"]
        assert b"Resource Saver" not in saving.run("status").stdout
        saving.run("restart", "--supervisor")
        done = saving.docker("ps", check=False)
        assert done.returncode != 0, "a machine that was stopped is not resumed by use"
        assert b"galley start" in done.stderr
        saving.start()
    finally:
        saving.run("settings", "unset", "suspend_after")
    saving.docker("volume", "rm", "away", "away2")


def test_streams_end_without_an_error_at_an_auto_suspend(saving: Galley) -> None:
    """Each client sees the end of its stream and exits with 0."""
    name = run(saving, IMAGE, "sleep", "1000")
    saving.docker("pause", name)
    docker = ["docker", "-H", saving.docker_host]
    streams = [saving.popen([*docker, *words]) for words in (["events"], ["logs", "-f", name])]
    saving.run("settings", "set", "suspend_after", "2s")
    try:
        saving.wait_for(lambda: saving.machines() == [], "it is suspended")
        for stream in streams:
            output, _ = stream.communicate(timeout=60)
            assert (output, stream.returncode) == (b"", 0)
    finally:
        saving.run("settings", "unset", "suspend_after")


def test_a_database_under_load_loses_no_acknowledged_write(saving: Galley, redis: Redis) -> None:
    """In pauses and suspends; `test_snapshots.py` tests snapshots."""
    redis.start_writer()
    for _ in range(2):
        saving.docker("pause", "writer", "redis")
        wait_paused(saving)
        saving.docker("unpause", "redis", "writer")
        redis.wait_for_more(50)
        before = redis.acknowledged()
        saving.run("suspend")
        assert saving.machines() == []
        saving.start()
        redis.wait_for_more(50)
        assert redis.acknowledged() > before
    saving.docker("kill", "redis")
    redis.check_files()
    saving.docker("start", "redis")
    redis.wait_until_it_answers()
    assert redis.check_content() >= redis.acknowledged() > before
