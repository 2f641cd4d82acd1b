"""Boot messages by the agent stream: the guest's real program, and a guest that sends too many."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.background import Background
from tests.unit.vm.guest.stream.port import Machine
from tests.unit.vm.guest.stream.scripted import Guest, until
from vm.guest.stream import boot_messages
from vm.guest.stream.boot_messages import BootMessageLog
from vm.guest.stream.frames import LARGEST, Kind
from vm.guest.stream.session import AgentStream

pytestmark = pytest.mark.timeout(30)  # a fault of the stream is a test that hangs
KEPT = 64 << 10  # bytes that the agent sends again


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


@pytest.fixture
def session(machine: Machine, log: Path) -> Callable[[], AgentStream]:
    return lambda: AgentStream(machine.connect, 10, BootMessageLog(log))


def write(machine: Machine, *lines: str) -> str:
    text = "".join(f"[1.00] galley: {line}\n" for line in lines)
    with machine.messages.open("a") as file:
        file.write(text)
    return text


def end(stream: AgentStream) -> None:
    Background().submit(stream.close).result()


def wait_for(log: Path, text: str) -> None:
    until(lambda: log.exists() and log.read_text() == text)


def test_messages_before_and_during_a_session(
    machine: Machine, session: Callable[[], AgentStream], log: Path
) -> None:
    text = write(machine, "kernel", "disk ok")
    stream = session()
    wait_for(log, text)
    for line in ("sshd", "engine"):
        text += write(machine, line)
        wait_for(log, text)
    end(stream)


def test_each_session_receives_them_again_once(
    machine: Machine, session: Callable[[], AgentStream], log: Path
) -> None:
    text = write(machine, "kernel")
    for line in ("disk ok", "engine"):
        stream = session()
        wait_for(log, text)
        end(stream)
        text += write(machine, line)  # while no host is connected
    log.write_text("of a supervisor before\n")
    stream = session()
    wait_for(log, text)
    end(stream)


def test_an_agent_that_is_started_again_sends_them_again(
    machine: Machine, session: Callable[[], AgentStream], log: Path
) -> None:
    text = write(machine, "kernel")
    machine.kill()
    machine.start()
    stream = session()
    wait_for(log, text)
    end(stream)


def test_only_the_last_64_kib_are_sent_again(
    machine: Machine, session: Callable[[], AgentStream], log: Path
) -> None:
    text = write(machine, *(f"failed part{number}: reason" for number in range(10_000)))
    assert len(text) > 4 * KEPT
    stream = session()
    wait_for(log, text[-KEPT:])
    text += write(machine, "engine")
    wait_for(log, text[-KEPT - len("[1.00] galley: engine\n") :])
    end(stream)


def test_a_guest_that_sends_too_many_loses_the_session(guest: Guest, log: Path) -> None:
    stream = AgentStream(guest.connect, 10, BootMessageLog(log))
    for _ in range(boot_messages.LIMIT // LARGEST):
        guest.say(0, Kind.MESSAGES, bytes(LARGEST))
    until(lambda: log.exists() and log.stat().st_size == boot_messages.LIMIT)
    assert stream.alive
    guest.say(0, Kind.MESSAGES, b"1")
    until(lambda: not stream.alive)
    assert stream.barred_until > 0
    assert log.stat().st_size == boot_messages.LIMIT
    end(stream)


def test_a_log_that_cannot_be_written_ends_nothing(
    guest: Guest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = AgentStream(guest.connect, 10, BootMessageLog(tmp_path))
    guest.say(0, Kind.MESSAGES, b"galley: kernel\n")
    until(lambda: "cannot be written" in caplog.text)
    assert stream.alive
    end(stream)


def test_a_host_without_a_log_ignores_them(guest: Guest, stream: AgentStream) -> None:
    guest.say(0, Kind.MESSAGES, b"galley: kernel\n")
    guest.say(0, Kind.HELLO, (7).to_bytes(4, "little"))
    until(lambda: stream.version == 7)
