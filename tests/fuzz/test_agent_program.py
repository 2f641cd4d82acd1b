"""Frames of a broken host, for the guest's end of the agent stream.

The program is the guest's own, compiled with sanitizers. An input is the host's data after its
hello. For every input, the program survives: it answers the next hello, sends no more than its
credit, and leaves no process. Next: `relay.c`, `targets.h`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.harness import Fuzz, Source, wait_until
from tests.unit.vm.guest.stream.port import Port, build_agent
from vm.guest.stream.frames import HEAD, LARGEST, MAGIC, NUMBER, WINDOW, ZEROS, Kind, packed

SESSION = 0x04030201
FIRST, NEXT = (MAGIC + NUMBER.pack(SESSION + number) + b"of each input"[:12] for number in (0, 1))
VERSION = packed(SESSION, 0, Kind.HELLO, NUMBER.pack(2))
UDP = b"udp 127.0.0.1 9"
TARGETS = (
    b"ssh",
    b"ssh",
    UDP,
    UDP,
    b"tcp 127.0.0.1 1",
    b"tcp ::1 1",
    b"tcp 1",
    b"/dev/null",
    b"/x",
    b"",
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    """The agent's port; its sshd is `cat`, which echoes."""
    made = Port(build_agent(tmp_path_factory.mktemp("agent")), "/bin/cat")
    yield made
    made.close()


def frames(source: Source) -> bytes:
    """Mostly valid frames, because an invalid one ends the session."""
    return b"".join(source.some(12, lambda: _frame(source)))


def _frame(source: Source) -> bytes:
    kind = source.pick((Kind.OPEN, Kind.OPEN, Kind.DATA, Kind.DATA, Kind.DATA, *Kind, 0, 10))
    number = source.pick((1, 1, 1, 2, 3, 0))
    data = source.pick((source.blob(), bytes(source.below(2 * LARGEST)), bytes(LARGEST)))
    if kind == Kind.OPEN:
        data = source.pick((*TARGETS, source.blob(), bytes(source.below(300))))
    elif kind == Kind.CREDIT and not source.one_in(4):
        data = NUMBER.pack(source.below(WINDOW))
    elif kind in (Kind.END, Kind.CLOSE):
        data = b""
    odd = source.below(60)
    session, length, end = SESSION, len(data), SESSION
    if odd == 59:
        session = source.below(1 << 32)
    elif odd == 58:
        length = source.below(1 << 32)
    elif odd == 57:
        end = source.below(1 << 32)
    return HEAD.pack(session, number, kind, length) + data + NUMBER.pack(end)


def credit(data: bytes) -> int:
    """An upper bound of the credit that `data` grants to one channel."""
    pattern = re.compile(re.escape(NUMBER.pack(Kind.CREDIT)) + b"....(....)", re.DOTALL)
    granted = [int.from_bytes(number, "little") for number in pattern.findall(data)]
    return WINDOW + sum(min(WINDOW, number) for number in granted)


def check(output: bytes, allowed: int) -> None:
    """Checks the session's frames, up to the first invalid one."""
    sent: dict[int, int] = defaultdict(int)
    while len(output) >= HEAD.size:
        session, number, kind, length = HEAD.unpack_from(output)
        if session != SESSION or len(output) < HEAD.size + length + NUMBER.size:
            return
        assert kind in list(Kind)
        assert length <= LARGEST
        assert NUMBER.unpack_from(output, HEAD.size + length)[0] == SESSION
        if kind == Kind.DATA:
            sent[number] += length
            assert length > 0
            assert sent[number] <= allowed
        output = output[HEAD.size + length + NUMBER.size :]


def test_agent_program(fuzz: Fuzz, port: Port) -> None:
    pid = port.agent.pid
    children = Path(f"/proc/{pid}/task/{pid}/children")

    def target(data: bytes) -> None:
        port.exchange(ZEROS + FIRST, FIRST + VERSION)
        output = port.exchange(data + ZEROS + NEXT, NEXT)
        assert port.agent.poll() is None
        check(output, credit(data))
        wait_until(lambda: not children.read_text())

    words = [NUMBER.pack(SESSION), *TARGETS, *(NUMBER.pack(kind) for kind in Kind), MAGIC]
    fuzz("agent_program", target, frames, words)
