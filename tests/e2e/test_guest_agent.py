"""The guest agent of a real machine: disk, memory and clock."""

import queue
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.guest.recipe import FILES
from tests.e2e.galley import IMAGE, Galley
from vm.backends.qemu.backend import QemuBackend
from vm.errors import GuestUnreachable, MachineError
from vm.guest.agent import GuestAgent
from vm.guest.protocol import Guest
from vm.guest.ssh import SshGuest

DATA = "/var/lib/galley-data"


@pytest.fixture
def guest(galley: Galley) -> Iterator[Guest]:
    made = connect_to_guest(galley)
    yield made
    made.close()


def connect_to_guest(galley: Galley) -> Guest:
    """Opens an ssh connection for the test: the agent stream is the supervisor's."""
    seen = QemuBackend().observe(galley.machine)
    assert seen.address is not None
    return SshGuest(seen.address, galley.machine.key, galley.machine.known_host, 10.0)


@pytest.fixture
def agent(guest: Guest) -> Iterator[GuestAgent]:
    made = GuestAgent(guest.dial)
    yield made
    made.thaw()


def test_a_write_to_a_frozen_disk_waits_and_is_not_lost(
    galley: Galley, guest: Guest, agent: GuestAgent
) -> None:
    agent.freeze()
    agent.freeze()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(guest.run, ("sh", "-c", f"echo kept > {DATA}/frozen.txt"), timeout=60)
        held = galley.docker("ps", "--quiet")  # reads are not blocked
        assert held.returncode == 0
        assert guest.run(("touch", "/run/elsewhere")).ok
        assert not writing.done()
        agent.thaw()
        assert writing.result().ok
    assert guest.read(f"{DATA}/frozen.txt") == b"kept\n"
    guest.run(("rm", f"{DATA}/frozen.txt"))


def test_the_guests_clock_is_set_and_only_changes_by_others_are_reported(
    guest: Guest, agent: GuestAgent
) -> None:
    watch = agent.watch_clock()
    reports: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def listen() -> None:
        while True:
            watch.wait()
            reports.put(True)

    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(listen)
        try:
            agent.set_time()
            agent.disk()
            assert reports.empty()
            assert guest.run(("date", "-s", "@1000000000")).ok
            assert reports.get(timeout=20)
            agent.set_time()
            assert abs(_skew(guest)) < 0.5
            assert guest.run(("date", "-s", "@2000000000")).ok
            assert reports.get(timeout=20)
        finally:
            watch.close()
        agent.set_time()
        with pytest.raises(GuestUnreachable):
            listening.result(20)
    assert reports.empty()
    assert abs(_skew(guest)) < 0.5


def _skew(guest: Guest) -> float:
    """Seconds by which the guest's clock is ahead of the host's, as measured through ssh."""
    before = time.time()
    now = float(guest.run(("sh", "-c", "echo $EPOCHREALTIME")).stdout)
    return now - (before + time.time()) / 2


def test_memory_and_disk_match_the_guests_own_figures(
    galley: Galley, guest: Guest, agent: GuestAgent
) -> None:
    memory = agent.memory()
    total = int(guest.run(("awk", "/MemTotal/ { print $2 }", "/proc/meminfo")).stdout) * 1024
    assert memory.total == total
    assert 0 < memory.free < total
    assert 0 < memory.available < total
    assert 0 < memory.cached < total
    name = galley.docker("run", "-d", IMAGE, "sleep", "600").stdout.decode().strip()
    assert agent.memory().containers > 0
    galley.docker("rm", "--force", name)
    disk = agent.disk()
    assert disk.used + disk.available < disk.size < galley.machine.data_disk.stat().st_size


def test_a_trim_returns_deleted_files_space_to_the_host(
    galley: Galley, guest: Guest, agent: GuestAgent
) -> None:
    size = 100 << 20
    made = f"dd if=/dev/urandom of={DATA}/filling bs=1M count=100 && sync"
    assert guest.run(("sh", "-c", made)).ok
    full, used = _blocks(galley), agent.disk().used
    assert guest.run(("sh", "-c", f"rm {DATA}/filling")).ok
    assert used - agent.disk().used >= size
    agent.trim()
    assert full - _blocks(galley) >= 0.95 * size


def _blocks(galley: Galley) -> int:
    """Bytes that the data disk holds on the host."""
    return galley.machine.data_disk.stat().st_blocks * 512


def test_a_reclaim_drops_the_page_cache(guest: Guest, agent: GuestAgent) -> None:
    made = f"dd if=/dev/zero of={DATA}/read bs=1M count=64 && sync && cat {DATA}/read > /dev/null"
    assert guest.run(("sh", "-c", made)).ok
    before = agent.memory()
    agent.reclaim()
    after = agent.memory()
    assert before.cached - after.cached >= 64 << 20
    assert after.free > before.free
    guest.run(("rm", f"{DATA}/read"))


def test_the_page_cache_of_running_containers_shrinks_by_itself(
    galley: Galley, agent: GuestAgent
) -> None:
    """The guest agent drops a part of it in each interval."""
    fill = "busybox dd if=/dev/zero of=/f bs=1M count=256; sync; echo filled; exec sleep 600"
    name = galley.docker("run", "-d", "--init", IMAGE, "sh", "-c", fill).stdout.decode().strip()
    galley.wait_for(lambda: b"filled" in galley.docker("logs", name).stdout, "a file is cached")
    filled = agent.memory()

    def has_shrunk() -> bool:
        """What is freed is in part used again at once, by others."""
        now = agent.memory()
        return filled.cached - now.cached > 48 << 20 and now.free - filled.free > 32 << 20

    galley.wait_for(has_shrunk, "the page cache shrinks, and memory is free")
    galley.docker("rm", "--force", name)


def test_a_killed_agent_is_started_again(galley: Galley, guest: Guest, agent: GuestAgent) -> None:
    assert guest.run(("killall", "-9", "keeper")).ok
    galley.wait_for(lambda: _answers(agent), "the agent answers again")
    agent.freeze()
    agent.thaw()


def _answers(agent: GuestAgent) -> bool:
    try:
        return agent.memory().total > 0
    except MachineError:
        return False


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_an_hour_off_is_corrected_within_seconds(
    galley: Galley, guest: Guest, seconds: int
) -> None:
    """A privileged container sets the clock wrong; the supervisor corrects it."""
    skew = f"date -s @$(($(date +%s) + {seconds}))"
    done = galley.docker("run", "--rm", "--privileged", IMAGE, "sh", "-c", skew)
    assert not done.stderr, "the clock could not be set"  # it may be right before it is read again
    _check_clock(guest)


def test_after_a_suspend_the_clock_is_corrected_within_seconds(galley: Galley) -> None:
    galley.run("suspend")
    galley.start()
    guest = connect_to_guest(galley)
    _check_clock(guest)
    guest.close()


def _check_clock(guest: Guest) -> None:
    began = time.monotonic()
    while abs(_skew(guest)) > 0.1:
        assert time.monotonic() - began < 5


def agent_of_version(version: int, folder: Path) -> bytes:
    """The relay of another Galley version. Version 1 has neither HELLO nor ssh."""
    for file in (FILES / "source" / "relay.c", *(FILES / "source").glob("*.h")):
        text = file.read_text()
        text = text.replace("VERSION = 2,", f"VERSION = {version},")
        if version == 1:
            text = text.replace("  queue_number(0, HELLO, VERSION);\n", "")
            text = text.replace("sshd = words + 3;", "sshd = words + count;")
        (folder / file.name).write_text(text)
    made = folder / "relay"
    subprocess.run(["cc", "-O2", "-static", "-o", made, folder / "relay.c"], check=True)
    return made.read_bytes()


def problems(galley: Galley) -> list[str]:
    return [problem["kind"] for problem in galley.status()["problems"]]


@pytest.mark.parametrize("version", [1, 3])
def test_a_machine_of_another_version_runs_on_until_it_is_restarted(
    galley: Galley, guest: Guest, tmp_path: Path, version: int
) -> None:
    assert problems(galley) == []
    name = galley.docker("run", "-d", "--rm", IMAGE, "sleep", "600").stdout.decode().strip()
    guest.write("/run/other-agent", agent_of_version(version, tmp_path), 0o755)
    program = "/usr/lib/galley/relay"
    replace = f"mount -o exec,bind /run/other-agent {program} && killall relay"
    assert guest.run(("sh", "-c", replace)).ok
    galley.run("restart", "--supervisor")
    galley.wait_for(lambda: galley.status()["state"] == "running", "the machine is adopted")
    assert problems(galley) == ["GuestOutdated"]
    assert "galley restart" in galley.run("status").stdout.decode()
    assert galley.run("shell", "echo", "there").stdout == b"there\n"
    running = galley.docker("inspect", "--format", "{{.State.Status}} {{.RestartCount}}", name)
    assert running.stdout.split() == [b"running", b"0"]
    galley.run("restart")
    assert problems(galley) == []
