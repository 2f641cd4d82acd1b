"""Stop and suspend, as a user does them: the state after the next start."""

import json
import shutil
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley
from vm.host import net

RESUMING = "Resuming the machine"


@pytest.fixture
def engine(used: Galley) -> Galley:
    """A running Galley with the test image and a shared folder."""
    used.start()
    return used


@pytest.fixture
def counting(engine: Galley, shared: Path) -> str:
    """A container that writes a number every tenth of a second to a file that it keeps open."""
    count = "n=0; while true; do n=$((n + 1)); echo $n; usleep 100000; done >> /shared/count"
    words = ["-d", "--name", "counting", "-v", f"{shared}:/shared", "--init", IMAGE]
    engine.docker("run", *words, "sh", "-c", count)
    return "counting"


def steps(galley: Galley) -> list[str]:
    return [step["step"] for step in galley.status()["boot"]]


def running(galley: Galley) -> set[str]:
    return set(galley.docker("ps", "--format", "{{.Names}}").stdout.decode().split())


def started_at(galley: Galley, container: str) -> str:
    inspected = galley.docker("inspect", "-f", "{{.State.StartedAt}}", container)
    return inspected.stdout.decode().strip()


def numbers(shared: Path) -> list[int]:
    return [int(line) for line in (shared / "count").read_text().split()]


def test_a_stop_ends_containers_and_the_next_start_follows_restart_policies(
    engine: Galley, shared: Path
) -> None:
    port = net.free_port()
    serve = "busybox httpd -f -p 80 -h /"
    trap = "trap 'echo ended > /shared/ended; exit 0' TERM; while true; do usleep 50000; done"
    published = ["-p", f"{port}:80", "--restart", "unless-stopped"]
    engine.docker("run", "-d", "--init", "--name", "web", *published, IMAGE, "sh", "-c", serve)
    words = ["-v", f"{shared}:/shared", "--stop-signal", "TERM", IMAGE, "sh", "-c", trap]
    engine.docker("run", "-d", "--name", "plain", *words)
    engine.run("stop")
    assert (shared / "ended").read_text() == "ended\n", "the container got SIGTERM and time to end"
    assert engine.status()["resumable"]
    assert engine.machines() == []

    engine.run("start")
    assert RESUMING in steps(engine)
    assert running(engine) == {"web"}, "only the one with a restart policy"
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    left = json.loads(engine.docker("inspect", "plain").stdout)[0]["State"]
    assert (left["Status"], left["ExitCode"]) == ("exited", 0)


def test_a_suspended_container_continues_where_it_was(
    engine: Galley, counting: str, shared: Path
) -> None:
    began, port = started_at(engine, counting), net.free_port()
    serve = (IMAGE, "busybox", "httpd", "-f", "-p", "80", "-h", "/")
    engine.docker("run", "-d", "--name", "web", "-p", f"{port}:80", *serve)
    engine.wait_for(lambda: len(numbers(shared)) > 3, "the container counts")
    assert len(engine.forwarders()) == 1, "it forwards the port on IPv6"
    engine.run("suspend")
    assert engine.machines() == []
    assert engine.forwarders() == []
    before_suspend = numbers(shared)
    (shared / "meanwhile").write_text("from this computer")
    engine.run("start")
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port), timeout=10).close()
    assert RESUMING in steps(engine)
    engine.wait_for(lambda: numbers(shared)[-1] > before_suspend[-1] + 3, "the container counts on")
    seen = numbers(shared)
    assert seen == list(range(1, len(seen) + 1)), "the open file is the same, and no number is lost"
    assert started_at(engine, counting) == began
    read = engine.docker("exec", counting, "cat", "/shared/meanwhile").stdout
    assert read == b"from this computer"
    before, now, after = time.time(), _clock(engine, counting), time.time()
    assert before - 0.1 <= now <= after + 0.1


def test_shared_files_and_folders_removed_during_a_suspend(engine: Galley, shared: Path) -> None:
    """As when /tmp is emptied. A removed file is missing after the resume; if a container's folder
    was removed or replaced, the next start is a cold one."""
    folder = shared / "work"
    folder.mkdir()
    for name in ("gone", "open", "stays"):
        (folder / name).write_text(name)
    wait = "until [ -e /x/go ]; do usleep 50000; done"
    holds = f"exec 3< /x/open; cat /x/*; echo; {wait}; cat <&3; echo $?"
    engine.docker("run", "-d", "--name", "has", "-v", f"{folder}:/x", IMAGE, "sh", "-c", holds)
    engine.wait_for(
        lambda: engine.docker("logs", "has").stdout == b"goneopenstays\n", "it has read the files"
    )
    engine.run("suspend")
    (folder / "gone").unlink()
    (folder / "stays").write_text("changed")
    engine.run("start")
    assert RESUMING in steps(engine)
    seen = engine.docker("exec", "has", "sh", "-c", "cat /x/stays; cat /x/gone", check=False)
    assert seen.stdout == b"changed"
    assert b"No such file" in seen.stderr
    (folder / "go").touch()
    engine.wait_for(lambda: engine.docker("logs", "has").stdout.endswith(b"open0\n"), "it reads on")

    (folder / "go").unlink()
    engine.docker("start", "has")
    engine.run("suspend")
    shutil.rmtree(folder)
    folder.mkdir()
    stderr = engine.run("start").stderr.decode()
    assert f"a container has {folder}, which was removed or replaced meanwhile" in stderr
    assert RESUMING not in steps(engine)
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)


def _clock(galley: Galley, container: str) -> float:
    stdout = galley.docker("exec", container, "busybox", "adjtimex").stdout.decode()
    fields = dict(line.split(":", 1) for line in stdout.splitlines() if ":" in line)
    found = {name.strip(): value.split() for name, value in fields.items()}
    return float(found["time.tv_sec"][0]) + float(found["time.tv_usec"][0]) / 1e6


def test_a_change_of_settings_causes_a_cold_start_and_is_reported(engine: Galley) -> None:
    engine.docker("volume", "create", "kept")
    engine.run("stop")
    engine.run("settings", "set", "memory", "1GiB")
    stderr = engine.run("start").stderr.decode()
    assert "its settings have changed" in stderr
    assert RESUMING not in steps(engine)
    assert engine.docker("volume", "ls", "-q").stdout == b"kept\n"
    assert engine.status()["vm"]["memory_bytes"] == 1 << 30


def test_a_cold_stop_discards_a_suspended_machine(engine: Galley) -> None:
    engine.run("stop")
    engine.run("stop", "--cold")
    assert not engine.status()["resumable"]
    assert engine.machines() == []
    engine.run("start")
    assert RESUMING not in steps(engine)


def test_the_next_supervisor_resumes_a_suspended_machine(engine: Galley) -> None:
    engine.run("quit")
    assert engine.processes() == []
    assert engine.status()["resumable"], "the status needs no process"
    engine.run("start")
    assert RESUMING in steps(engine)
    assert engine.answers()
