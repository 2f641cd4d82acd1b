"""Stop and suspend, as a user: what is there after the next start."""

import json
import shutil
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley
from vm.host import net

WAKING = "Resuming the machine"


@pytest.fixture
def engine(used: Galley) -> Galley:
    """It runs, with the test image in it and a folder of this computer."""
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
    asked = galley.docker("inspect", "-f", "{{.State.StartedAt}}", container)
    return asked.stdout.decode().strip()


def numbers(shared: Path) -> list[int]:
    return [int(line) for line in (shared / "count").read_text().split()]


def test_a_stop_ends_containers_and_the_next_start_goes_on(engine: Galley, shared: Path) -> None:
    port = net.free_port()
    serve = "busybox httpd -f -p 80 -h /"
    trap = "trap 'echo ended > /shared/ended; exit 0' TERM; while true; do usleep 50000; done"
    published = ["-p", f"{port}:80", "--restart", "unless-stopped"]
    engine.docker("run", "-d", "--init", "--name", "web", *published, IMAGE, "sh", "-c", serve)
    words = ["-v", f"{shared}:/shared", "--stop-signal", "TERM", IMAGE, "sh", "-c", trap]
    engine.docker("run", "-d", "--name", "plain", *words)
    engine.run("stop")
    assert (shared / "ended").read_text() == "ended\n", "it was asked to end, and had the time"
    assert engine.status()["resumable"]
    assert engine.machines() == []

    engine.run("start")
    assert WAKING in steps(engine)
    assert running(engine) == {"web"}, "as their restart policies say"
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    left = json.loads(engine.docker("inspect", "plain").stdout)[0]["State"]
    assert (left["Status"], left["ExitCode"]) == ("exited", 0)


def test_what_is_suspended_goes_on_in_the_middle(
    engine: Galley, counting: str, shared: Path
) -> None:
    began, port = started_at(engine, counting), net.free_port()
    serve = (IMAGE, "busybox", "httpd", "-f", "-p", "80", "-h", "/")
    engine.docker("run", "-d", "--name", "web", "-p", f"{port}:80", *serve)
    engine.wait_for(lambda: len(numbers(shared)) > 3, "it counts")
    assert len(engine.forwarders()) == 1, "it carries the port on IPv6"
    engine.run("suspend")
    assert engine.machines() == []
    assert engine.forwarders() == []
    stood_at = numbers(shared)
    (shared / "meanwhile").write_text("from this computer")
    engine.run("start")
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port), timeout=10).close()
    assert WAKING in steps(engine)
    engine.wait_for(lambda: numbers(shared)[-1] > stood_at[-1] + 3, "it counts on")
    seen = numbers(shared)
    assert seen == list(range(1, len(seen) + 1)), "the open file is the same, and nothing is lost"
    assert started_at(engine, counting) == began
    read = engine.docker("exec", counting, "cat", "/shared/meanwhile").stdout
    assert read == b"from this computer"
    before, now, after = time.time(), _clock(engine, counting), time.time()
    assert before - 0.1 <= now <= after + 0.1


def test_what_is_gone_from_this_computer_meanwhile(engine: Galley, shared: Path) -> None:
    """As in a /tmp that was emptied. A file is missing then; a container that would have another
    folder than before does not go on."""
    folder = shared / "work"
    folder.mkdir()
    for name in ("gone", "open", "stays"):
        (folder / name).write_text(name)
    wait = "until [ -e /x/go ]; do usleep 50000; done"
    holds = f"exec 3< /x/open; cat /x/*; echo; {wait}; cat <&3; echo $?"
    engine.docker("run", "-d", "--name", "has", "-v", f"{folder}:/x", IMAGE, "sh", "-c", holds)
    engine.wait_for(
        lambda: engine.docker("logs", "has").stdout == b"goneopenstays\n", "it has read"
    )
    engine.run("suspend")
    (folder / "gone").unlink()
    (folder / "stays").write_text("changed")
    engine.run("start")
    assert WAKING in steps(engine)
    seen = engine.docker("exec", "has", "sh", "-c", "cat /x/stays; cat /x/gone", check=False)
    assert seen.stdout == b"changed"
    assert b"No such file" in seen.stderr
    (folder / "go").touch()
    engine.wait_for(lambda: engine.docker("logs", "has").stdout.endswith(b"open0\n"), "it goes on")

    (folder / "go").unlink()
    engine.docker("start", "has")
    engine.run("suspend")
    shutil.rmtree(folder)
    folder.mkdir()
    said = engine.run("start").stderr.decode()
    assert f"a container has {folder}, which was removed or replaced meanwhile" in said
    assert WAKING not in steps(engine)
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)


def _clock(galley: Galley, container: str) -> float:
    said = galley.docker("exec", container, "busybox", "adjtimex").stdout.decode()
    fields = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    found = {name.strip(): value.split() for name, value in fields.items()}
    return float(found["time.tv_sec"][0]) + float(found["time.tv_usec"][0]) / 1e6


def test_a_change_of_settings_is_a_start_from_cold_and_says_so(engine: Galley) -> None:
    engine.docker("volume", "create", "kept")
    engine.run("stop")
    engine.run("settings", "set", "memory", "1GiB")
    said = engine.run("start").stderr.decode()
    assert "its settings have changed" in said
    assert WAKING not in steps(engine)
    assert engine.docker("volume", "ls", "-q").stdout == b"kept\n"
    assert engine.status()["vm"]["memory_bytes"] == 1 << 30


def test_a_cold_stop_powers_off_even_what_is_suspended(engine: Galley) -> None:
    engine.run("stop")
    engine.run("stop", "--cold")
    assert not engine.status()["resumable"]
    assert engine.machines() == []
    engine.run("start")
    assert WAKING not in steps(engine)


def test_another_supervisor_finds_it_and_goes_on(engine: Galley) -> None:
    engine.run("quit")
    assert engine.processes() == []
    assert engine.status()["resumable"], "seen without any process"
    engine.run("start")
    assert WAKING in steps(engine)
    assert engine.answers()
