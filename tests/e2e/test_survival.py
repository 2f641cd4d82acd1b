"""kill -9 of each process while a container writes: all works again, no fsync'ed line is lost."""

import re
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.galley import GALLEY, IMAGE, Galley
from tests.e2e.processes import shut_connections
from vm.host import process

WRITE = """
i=0
[ -f /data/lines ] && i=$(tail -n 1 /data/lines)
while true; do i=$((i+1)); echo $i >> /data/lines; sync -d /data/lines && echo $i; done
"""


class Writer:
    """A container that appends numbers to a volume, and the last number whose fsync it reported."""

    def __init__(self, galley: Galley) -> None:
        self.galley = galley
        self.acknowledged = 0
        galley.docker("rm", "-f", "writer", check=False)
        galley.docker("volume", "rm", "-f", "lines", check=False)
        words = ["run", "-d", "--name", "writer", "--restart", "unless-stopped"]
        galley.docker(*words, "-v", "lines:/data", IMAGE, "sh", "-c", WRITE)
        self._log = galley.popen(["docker", "-H", galley.docker_host, "logs", "-f", "writer"])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        galley.wait_for(lambda: self.acknowledged > 20, "the container writes")

    def _read(self) -> None:
        assert self._log.stdout is not None
        for line in self._log.stdout:
            if line.strip().isdigit():
                self.acknowledged = max(self.acknowledged, int(line))

    def lines(self) -> list[int]:
        done = self.galley.docker("run", "--rm", "-v", "lines:/data", IMAGE, "cat", "/data/lines")
        return [int(line) for line in done.stdout.split()]

    def check(self) -> None:
        """Checks that no acknowledged line is missing and that the container writes on."""
        acknowledged = self.acknowledged
        lines = self.lines()
        assert set(range(1, acknowledged + 1)) <= set(lines), "an fsync'ed line is missing"
        last = max(lines)
        self.galley.wait_for(lambda: max(self.lines()) > last, "the container writes on")

    def end(self) -> None:
        self._log.kill()
        self._log.wait()
        assert self._log.stdout is not None
        self._log.stdout.close()
        self._reader.join()
        self.galley.docker("rm", "-f", "writer")


@pytest.fixture
def writer(galley: Galley) -> Iterator[Writer]:
    made = Writer(galley)
    yield made
    made.end()


def _recovers(writer: Writer) -> None:
    tried = ["run", "--rm", IMAGE, "echo", "again"]
    works = lambda: writer.galley.docker(*tried, check=False).returncode == 0  # noqa: E731
    writer.galley.wait_for(works, "containers can be run again")
    writer.check()
    assert writer.galley.status()["engine"]["reachable"] is True


def test_a_client_is_killed(writer: Writer) -> None:
    with writer.galley.popen(
        [*GALLEY, "docker", "run", "--name", "half", IMAGE, "sleep", "600"]
    ) as client:
        named = ["ps", "-q", "--filter", "name=half"]
        writer.galley.wait_for(lambda: bool(writer.galley.docker(*named).stdout), "it runs")
        client.kill()
    _recovers(writer)
    assert writer.galley.docker(*named).stdout, "killing the client must not stop the container"
    writer.galley.docker("rm", "-f", "half")


def test_the_supervisor_is_killed(writer: Writer) -> None:
    vm = writer.galley.vm_identity()
    old = writer.galley.supervisor_identity()
    process.end(old, force=True)
    assert process.wait_gone(old, 10)
    assert process.is_alive(vm)
    writer.galley.start()
    assert writer.galley.vm_identity() == vm
    _recovers(writer)


def test_the_vm_is_killed(writer: Writer) -> None:
    vm = writer.galley.vm_identity()
    process.end(vm, force=True)
    assert process.wait_gone(vm, 10)
    status = writer.galley.status
    writer.galley.wait_for(lambda: status()["state"] == "stopped", "the machine's exit is detected")
    assert "unexpectedly" in status()["problems"][0]["summary"]
    writer.galley.start()
    _recovers(writer)


@pytest.mark.parametrize("name", ["dockerd", "containerd"])
def test_a_service_in_the_machine_is_killed(writer: Writer, name: str) -> None:
    def pid() -> bytes:
        return writer.galley.run("shell", "pidof", name, check=False).stdout.strip()

    before = pid()
    assert re.fullmatch(rb"\d+", before)
    writer.galley.run("shell", "kill", "-9", before.decode())
    writer.galley.wait_for(lambda: pid() not in (b"", before), f"{name} runs again")
    _recovers(writer)


def test_sshd_is_killed_with_every_connection(writer: Writer) -> None:
    every = "kill -9 $(pidof sshd) $(pidof sshd-session)"
    writer.galley.run("shell", "sh", "-c", every, check=False)
    _recovers(writer)
    assert writer.galley.run("shell", "true").returncode == 0


def test_the_relay_is_killed(writer: Writer) -> None:
    with writer.galley.popen(
        ["docker", "-H", writer.galley.docker_host, "logs", "-f", "writer"]
    ) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline()
        writer.galley.run("shell", "sh", "-c", "kill -9 $(pidof relay)")
        follower.communicate(timeout=60)
    _recovers(writer)


def test_the_transport_is_killed_under_load(writer: Writer) -> None:
    """The agent stream is cut while 20 clients use it."""
    load = [
        writer.galley.popen(["docker", "-H", writer.galley.docker_host, "logs", "-f", "writer"])
        for _ in range(20)
    ]
    socket = writer.galley.machine.relay_socket
    assert shut_connections(writer.galley.vm_identity().pid, str(socket)) == 1
    assert writer.galley.docker("version").returncode == 0
    for client in load:
        client.kill()
        client.communicate()
    _recovers(writer)
