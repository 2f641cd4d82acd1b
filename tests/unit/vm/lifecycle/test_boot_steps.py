"""What the host does while a guest boots: reads its console, sends boot files, connects to it.

The console is a file that the test writes; the guest's sockets are real.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.background import Background, Result
from tests.bare_backend import BareBackend
from vm.capabilities import BootCheckpoints, Progress
from vm.directory import MachineDir
from vm.errors import BootDied, BootFailed, DataDiskDamaged, GuestChanged, GuestUnreachable
from vm.guest.protocol import HANDOVER, Guest, Stream
from vm.lifecycle.boot_steps import BootPlan, BootStory, Deadlines, send_boot_files
from vm.lifecycle.steps import Patience
from vm.messages import Message, Text
from vm.messages.machine import STEP_MOUNT
from vm.types import Address, BootOptions, Features, MachineSpec, MachineState, Observation

KEY = "ssh-ed25519 AAAA"
ADDRESS = Address("127.0.0.1", 40022)
SOON = 0.3  # seconds
MOUNT = STEP_MOUNT.text()
SILENT = Message("test.silent", "It does not answer.")


class Dialled:
    """One end of a socket pair, as `vm.guest.protocol.Stream`."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.recv, self.sendall = end.recv, end.sendall

    def shutdown_write(self) -> None:
        self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()


class BootingGuest:
    """Answers boot files with `answer`, or never if it is None.

    The first `unreachable` connects fail.
    """

    def __init__(self, answer: bytes | None = b"ok\n") -> None:
        self.answer = answer
        self.unreachable = 0
        self.refuses = False
        self.connects: list[float] = []
        self.closed = 0
        self.ends: list[socket.socket] = []

    def connect(self, deadline: float) -> None:
        self.connects.append(deadline)
        if len(self.connects) <= self.unreachable:
            raise GuestUnreachable(SILENT)

    def close(self) -> None:
        self.closed += 1

    def dial(self, path: str) -> Stream:
        assert path == HANDOVER
        if self.refuses:
            raise ConnectionRefusedError
        host, guest = socket.socketpair()
        self.ends.append(guest)
        if self.answer is not None:
            guest.sendall(self.answer)
            guest.shutdown(socket.SHUT_WR)
        return Dialled(host)

    def received(self) -> list[bytes]:
        """The data of each connection, after all of them have ended."""
        data = []
        while self.ends:
            with self.ends.pop(0) as end, end.makefile("rb") as file:
                end.settimeout(10)
                data.append(file.read())
        return data


class Checkpoints(BootCheckpoints):
    """Returns the `messages` in order, then the last one again and again."""

    def __init__(self, *messages: bytes | None) -> None:
        self._messages = list(messages)

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        raise AssertionError("the machine runs")

    def forget(self, directory: MachineDir) -> None:
        raise AssertionError("the machine runs")

    def boot_files(self, directory: MachineDir) -> bytes | None:
        return self._messages.pop(0) if len(self._messages) > 1 else self._messages[0]


class Booting(BareBackend):
    """A backend whose machine boots as the test scripts it."""

    def __init__(self) -> None:
        self.features = Features(sockets="relay", image_format="none")
        self.inside = BootingGuest()
        self.seen = [Observation(MachineState.RUNNING, 7, ADDRESS)]
        self.has_ended = False

    def observe(self, directory: MachineDir) -> Observation:
        return self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]

    def wait_stopped(self, directory: MachineDir, timeout: float | None) -> bool:
        return self.has_ended

    def guest(self, directory: MachineDir, address: Address) -> Guest:
        assert address == ADDRESS
        return cast(Guest, self.inside)


class Boot:
    """Runs the steps of one boot in the guest, with a short deadline each."""

    def __init__(self, folder: Path) -> None:
        self.directory = MachineDir(folder, folder, folder)
        self.backend = Booting()
        self.held: list[object] = []
        self._plan: BootPlan | None = None

    def write_console(self, *lines: str) -> None:
        with self.directory.console_log.open("a") as console:
            console.writelines(f"galley: {line}\n" for line in lines)

    def run(self, *names: Text, seconds: float = SOON) -> None:
        """Runs the named steps, or all of them."""
        if self._plan is None:
            story = BootStory(self.directory, self.backend)
            self._plan = BootPlan(
                self.directory, self.backend, story, Deadlines(), prepare=None, repair=False
            )
        for step in self._plan.in_guest(self.held.append):
            if not names or step.name in names:
                step.check(Patience(seconds, threading.Event()))


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Boot]:
    made = Boot(tmp_path)
    yield made
    made.backend.inside.received()


# The console


def test_a_boot_runs_all_steps_up_to_the_connection(boot: Boot) -> None:
    boot.directory.data_is_new.touch()
    boot.write_console("kernel", "disk ok", f"hostkey {KEY} root@galley")
    boot.run()
    assert boot.held == [boot.backend.inside]
    assert boot.directory.known_host.read_text() == f"{KEY} root@galley\n"
    assert not boot.directory.data_is_new.exists()


@pytest.mark.parametrize(
    ("missing", "step"),
    [
        ("kernel", BootPlan.LINUX),
        ("disk ok", MOUNT),
        (f"hostkey {KEY}", BootPlan.IDENTITY),
    ],
)
def test_each_step_waits_for_its_console_line(boot: Boot, missing: str, step: Text) -> None:
    boot.write_console(*({"kernel", "disk ok", f"hostkey {KEY}"} - {missing}))
    with pytest.raises(TimeoutError):
        boot.run(step)
    boot.write_console(missing)
    boot.run(step)


def test_sshd_is_waited_for_only_if_sockets_are_reached_by_ssh(boot: Boot) -> None:
    boot.run(BootPlan.CONNECT)
    boot.backend.features = Features(sockets="ssh", image_format="none")
    with pytest.raises(TimeoutError):
        boot.run(BootPlan.CONNECT)
    boot.write_console("sshd")
    boot.run(BootPlan.CONNECT)
    assert len(boot.held) == 2


def test_a_failed_part_of_the_guest_is_named_unless_the_awaited_line_follows(boot: Boot) -> None:
    boot.write_console("failed sshd: no keys")
    with pytest.raises(BootFailed) as failed:
        boot.run(BootPlan.LINUX)
    assert failed.value.summary == "A part of the guest did not start: sshd: no keys"
    assert failed.value.details == "galley: failed sshd: no keys"
    boot.write_console("kernel")
    boot.run(BootPlan.LINUX)


def test_a_machine_that_ends_during_the_boot_is_reported(boot: Boot) -> None:
    boot.write_console("something else")
    boot.directory.backend_log.write_text("qemu: killed\n")
    boot.backend.has_ended = True
    with pytest.raises(BootDied) as died:
        boot.run(BootPlan.LINUX, seconds=10)
    assert died.value.details == "galley: something else\nqemu: killed"


def test_a_damaged_disk_is_reported(boot: Boot) -> None:
    boot.write_console("disk damaged  block 7 ")
    boot.directory.data_is_new.touch()
    with pytest.raises(DataDiskDamaged) as damaged:
        boot.run(MOUNT)
    assert damaged.value.summary == "The data disk is damaged: block 7"
    assert boot.directory.data_is_new.exists()


def test_the_pinned_host_key_is_compared_without_its_comment(boot: Boot) -> None:
    boot.write_console(f"hostkey {KEY} root@other")
    boot.directory.known_host.write_text(f"{KEY} root@galley\n")
    boot.run(BootPlan.IDENTITY)
    for other in ("ssh-ed25519 BBBB", "ssh-rsa AAAA"):
        boot.directory.known_host.write_text(f"{other} root@galley\n")
        with pytest.raises(GuestChanged):
            boot.run(BootPlan.IDENTITY)
        assert boot.directory.known_host.read_text() == f"{other} root@galley\n"


# The connection


def test_the_connect_step_retries_until_the_guest_answers(boot: Boot) -> None:
    boot.backend.seen.insert(0, Observation(MachineState.RUNNING, 7))  # no address yet
    boot.backend.inside.unreachable = 2
    boot.run(BootPlan.CONNECT, seconds=30)
    inside = boot.backend.inside
    assert (len(inside.connects), inside.closed) == (3, 2)
    assert inside.connects[0] == 20, "a connect has only a part of the deadline"
    assert boot.held == [inside]


def test_a_machine_that_ends_is_not_connected_to(boot: Boot) -> None:
    boot.backend.seen = [Observation(MachineState.STOPPED, None, ADDRESS)]
    with pytest.raises(BootDied):
        boot.run(BootPlan.CONNECT)
    assert not boot.backend.inside.connects


# Boot files


def test_a_guest_resumed_from_a_checkpoint_gets_its_boot_files(boot: Boot) -> None:
    boot.backend.boot_checkpoints = Checkpoints(b"early", b"files")
    boot.write_console("kernel")
    with pytest.raises(TimeoutError):
        boot.run(BootPlan.LINUX)
    boot.write_console("template")
    boot.run(BootPlan.LINUX)
    assert boot.backend.inside.received() == [b"files"], (
        "the current boot files, which have the time"
    )
    boot.run(BootPlan.CONNECT)
    assert boot.held == [boot.backend.inside]
    assert len(boot.backend.inside.connects) == 1, "the connection is reused"


def test_a_guest_that_boots_to_make_a_checkpoint_gets_no_boot_files(boot: Boot) -> None:
    boot.backend.boot_checkpoints = Checkpoints(b"files")
    boot.write_console("kernel", "disk ok")
    boot.run(BootPlan.LINUX)
    assert not boot.backend.inside.connects


def test_a_guest_that_has_its_boot_files_is_not_waited_for(boot: Boot) -> None:
    boot.backend.boot_checkpoints = Checkpoints(None)
    boot.write_console("kernel")
    boot.run(BootPlan.LINUX)
    boot.backend.boot_checkpoints = Checkpoints(b"files", None)  # the guest gets them meanwhile
    boot.write_console("template")
    boot.run(BootPlan.LINUX)
    assert boot.backend.inside.received() == []


def send(guest: BootingGuest, patience: float = 60) -> list[bytes]:
    """The data that arrived; empty without a connection."""
    try:
        send_boot_files(cast(Guest, guest), b"files", patience)
    finally:
        data = guest.received()
    return data


def test_boot_files_are_delivered_when_the_guest_confirms_them() -> None:
    assert send(BootingGuest()) == [b"files"]
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.join(10)
            assert not timer.is_alive(), "the timer of the deadline has ended"


@pytest.mark.parametrize("answer", [b"", b"no\n", b"ok"])
def test_another_answer_to_boot_files_is_a_failure(answer: bytes) -> None:
    with pytest.raises(GuestUnreachable, match="rejected its boot files"):
        send(BootingGuest(answer))


def test_a_guest_that_does_not_confirm_boot_files_times_out() -> None:
    """It waits for at least one second, even if the deadline of the step has passed."""
    with Background() as beside:
        sending: Result[list[bytes]] = beside.submit(send, BootingGuest(None), 0.0)
        with pytest.raises(TimeoutError):
            sending.result(0.5)
        with pytest.raises(GuestUnreachable):
            sending.result()


def test_a_lost_connection_while_sending_boot_files_is_a_failure() -> None:
    class Lost(BootingGuest):
        def dial(self, path: str) -> Stream:
            stream = super().dial(path)
            self.ends[-1].shutdown(socket.SHUT_RDWR)
            return stream

    with pytest.raises(GuestUnreachable):
        send(Lost(None))


def test_a_guest_that_no_longer_listens_has_its_boot_files() -> None:
    guest = BootingGuest()
    guest.refuses = True
    assert send(guest) == []
