"""The guest agent: its real program on this host. `keeper_kernel.c` stands in for the kernel:
nothing of the host is frozen, trimmed or set.
"""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.background import Background
from tests.unit.vm.conftest import FREEZE_LIMIT, LONGEST, MOUNTED, PATIENCE, Machine
from vm.backends.fake import SocketStream
from vm.errors import GuestUnreachable, MachineError, Retry
from vm.guest import agent as agent_module
from vm.guest.agent import GuestAgent
from vm.guest.protocol import Stream
from vm.types import GuestDisk, GuestMemory


@pytest.fixture
def connection(machine: Machine) -> Iterator[socket.socket]:
    with machine.connect() as connection:
        yield connection


def lines(connection: socket.socket, count: int) -> list[str]:
    with connection.makefile("r") as file:
        return [file.readline().rstrip("\n") for _ in range(count)]


def test_freeze_and_thaw_are_idempotent(machine: Machine, agent: GuestAgent) -> None:
    agent.thaw()
    agent.freeze()
    assert (machine.kernel / "frozen").exists()
    agent.freeze()
    agent.thaw()
    assert not (machine.kernel / "frozen").exists()
    agent.thaw()


def test_every_resume_gets_a_new_seed(machine: Machine, agent: GuestAgent) -> None:
    agent.freeze()
    agent.thaw_and_set_time()
    first = (machine.kernel / "seeds").read_bytes()
    assert len(first) == 64
    assert (machine.kernel / "reseeded").exists()
    assert not (machine.kernel / "frozen").exists()
    (machine.kernel / "reseeded").unlink()
    agent.thaw_and_set_time()
    assert (machine.kernel / "seeds").read_bytes() != first


def test_a_disk_thaws_even_if_the_seed_is_refused(
    machine: Machine, agent: GuestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of Galley may expect a seed of another size."""
    monkeypatch.setattr("vm.guest.agent.SEED", 65)
    agent.freeze()
    agent.thaw_and_set_time()
    assert not (machine.kernel / "frozen").exists()


@pytest.mark.parametrize("seed", ["", "12", "zz" * 64, "00" * 65])
def test_an_invalid_seed_is_refused(machine: Machine, connection: socket.socket, seed: str) -> None:
    connection.sendall(f"seed {seed}\n".encode())
    assert lines(connection, 1)[0].startswith("failed those are no")
    assert not (machine.kernel / "seeds").exists()


def test_a_frozen_disk_thaws_after_the_limit(machine: Machine, agent: GuestAgent) -> None:
    agent.freeze()
    assert LONGEST / 2 < machine.wait("frozen", False) < LONGEST * 3


def test_a_restarted_agent_thaws_a_frozen_disk(machine: Machine, agent: GuestAgent) -> None:
    agent.freeze()
    machine.kill()
    machine.start()
    assert machine.wait("frozen", False) < LONGEST * 3


def test_a_freeze_that_takes_too_long_is_undone(machine: Machine, agent: GuestAgent) -> None:
    stuck = machine.kernel / "stuck"
    stuck.touch()
    began = time.monotonic()
    with pytest.raises(MachineError, match="refused freeze: it takes too long"):
        agent.freeze()
    assert FREEZE_LIMIT <= time.monotonic() - began < FREEZE_LIMIT * 4
    stuck.unlink()
    while not _freezes(agent):  # the undone freeze has not ended yet
        assert time.monotonic() - began < PATIENCE
    assert (machine.kernel / "frozen").exists()
    agent.thaw()


def _freezes(agent: GuestAgent) -> bool:
    try:
        agent.freeze()
    except MachineError as error:
        if "another freeze is under way" in error.summary:
            return False
        raise
    return True


def test_a_freeze_does_not_block_others_and_a_thaw_ends_it(
    machine: Machine, agent: GuestAgent
) -> None:
    (machine.kernel / "stuck").touch()
    with Background() as pool:
        freezing = pool.submit(agent.freeze)
        machine.wait("freezing", True)
        with pytest.raises(MachineError, match="another freeze is under way"):
            agent.freeze()
        assert agent.disk().size > 0
        agent.thaw()
        with pytest.raises(MachineError, match="it was to thaw"):
            freezing.result()
    assert not (machine.kernel / "frozen").exists()


def test_a_closed_connection_leaves_the_disk_frozen_until_the_limit(machine: Machine) -> None:
    with machine.connect() as connection:
        connection.sendall(b"freeze\n")
        machine.wait("freezing", True)
    machine.wait("frozen", True)
    machine.wait("frozen", False)


def test_the_guests_clock_is_set_to_the_hosts(machine: Machine, agent: GuestAgent) -> None:
    before = time.time()
    agent.set_time()
    assert before - 0.001 <= float((machine.kernel / "times").read_text()) <= time.time()


def test_a_time_is_set_to_the_nanosecond(machine: Machine, connection: socket.socket) -> None:
    connection.sendall(b"time 1795550000.000000012\n")
    assert lines(connection, 1) == ["ok"]
    assert (machine.kernel / "times").read_text() == "1795550000.000000012\n"


@pytest.mark.parametrize("text", ["", "1", "1.", ".123456789", "1.12345678", "1.1234567891", "1.x"])
def test_an_invalid_time_is_refused(machine: Machine, connection: socket.socket, text: str) -> None:
    connection.sendall(f"time {text}\n".encode())
    assert lines(connection, 1) == ["failed that is no time"]
    assert not (machine.kernel / "times").exists()


def test_memory_is_read_from_meminfo_and_the_cgroup(machine: Machine, agent: GuestAgent) -> None:
    assert agent.memory().total == psutil.virtual_memory().total
    meminfo = {"MemTotal": 8000, "MemFree": 100, "MemAvailable": 700, "Buffers": 20, "Cached": 600}
    meminfo |= {"SwapCached": 9, "Shmem": 50, "SReclaimable": 4}
    lines = (f"{name}: {size} kB\n" for name, size in meminfo.items())
    (machine.kernel / "meminfo").write_text("".join(lines))
    cached = 20 + 600 + 4 - 50  # shared memory cannot be read from the disk again
    assert agent.memory() == GuestMemory(8000 << 10, 100 << 10, 700 << 10, cached << 10, 0)
    (machine.group / "memory.current").write_text("5368709120\n")
    assert agent.memory().containers == 5 << 30


def test_disk_size_and_free_space_are_read_from_statvfs(
    machine: Machine, agent: GuestAgent
) -> None:
    statvfs = os.statvfs(MOUNTED)
    assert agent.disk().size == statvfs.f_blocks * statvfs.f_frsize
    (machine.kernel / "room").write_text("300")
    assert agent.disk() == GuestDisk(100 << 30, (100 << 30) - (307 << 20), 300 << 20)


def test_trim_returns_the_trimmed_bytes(agent: GuestAgent) -> None:
    assert agent.trim() == 12345678901


def test_requests_for_an_unmounted_disk_are_refused(program: Path, tmp_path: Path) -> None:
    machine = Machine(program, tmp_path, disk=str(tmp_path))
    agent = GuestAgent(machine.dial)
    for request in (agent.freeze, agent.disk, agent.trim, agent.reclaim):
        with pytest.raises(MachineError, match="the data disk is not mounted"):
            request()
    assert not (machine.kernel / "freezing").exists()
    agent.thaw()
    machine.kill()


def test_requests_of_one_connection_are_answered_in_order(connection: socket.socket) -> None:
    connection.sendall(b"freeze\nthaw\nnonsense\n\ntrim\nthaw\nfreeze\nth")
    connection.sendall(b"aw\nthaw")
    replies = ["ok", "ok", "failed that is no request", "failed that is no request"]
    assert lines(connection, 7) == [*replies, "ok 12345678901", "ok", "ok"]


def test_a_line_that_is_too_long_ends_the_connection(
    machine: Machine, connection: socket.socket
) -> None:
    connection.sendall(b"x" * 256)
    assert connection.recv(1) == b""
    GuestAgent(machine.dial).thaw()


def test_twenty_requests_at_once_are_answered_after_forty_closed_connections(
    machine: Machine, agent: GuestAgent
) -> None:
    held = [machine.connect() for _ in range(40)]
    for connection in held:
        connection.close()
    with Background() as pool:
        disks = list(pool.map(lambda _: agent.disk(), range(20)))
    assert all(disk.size > 0 for disk in disks)


def test_our_own_set_time_is_no_clock_event(machine: Machine, agent: GuestAgent) -> None:
    watch = agent.watch_clock()
    with Background() as pool:
        waiting = pool.submit(watch.wait)
        agent.set_time()
        assert agent.trim() > 0
        assert not waiting.done()
        watch.close()
        with pytest.raises(GuestUnreachable):
            waiting.result(PATIENCE)


def test_a_full_disk_and_free_space_again_are_events(machine: Machine, agent: GuestAgent) -> None:
    room = machine.kernel / "room"
    room.write_text("300")
    watch = agent.watch_disk()
    with Background() as pool:
        event = pool.submit(watch.wait)
        for size in ("256", "257"):
            room.write_text(size)
            agent.trim()
            assert not event.done()
        room.write_text("255")
        assert event.result(PATIENCE) == "full"
        late = agent.watch_disk()
        assert late.wait() == "full"
        event = pool.submit(watch.wait)
        room.write_text("511")
        agent.trim()
        assert not event.done()
        room.write_text("512")
        assert event.result(PATIENCE) == "room"
        assert late.wait() == "room"
    watch.close()
    late.close()


def test_a_guest_without_the_agent_is_reported_as_another_version() -> None:
    def none(path: str) -> Stream:
        raise ConnectionRefusedError(path)

    with pytest.raises(MachineError, match="another version") as refused:
        GuestAgent(none).freeze()
    assert refused.value.retry is Retry.NO
    assert "galley restart" in refused.value.hint


def test_a_restarting_agent_is_waited_for(machine: Machine) -> None:
    refusals = iter(range(3))

    def dial(path: str) -> Stream:
        if next(refusals, None) is not None:
            raise ConnectionRefusedError(path)
        return machine.dial(path)

    GuestAgent(dial).thaw()


def test_a_silent_agent_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_module, "QUICK", 0.05)
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(GuestUnreachable, match="does not answer: "):
        GuestAgent(lambda _: SocketStream(ours)).set_time()


@pytest.mark.parametrize("answer", [b"ok one two three\n", b"ok 1 2\n", b"ok\n"])
def test_an_invalid_answer_is_an_error(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
        with pytest.raises(MachineError, match="refused disk: its answer was"):
            GuestAgent(lambda _: SocketStream(ours)).disk()
