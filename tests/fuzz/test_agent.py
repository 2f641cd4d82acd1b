"""Answers of a hostile guest to the client of the guest agent.

The first byte of an input chooses the request, and whether the answer is endless; the rest is the
answer. Only MachineError may be raised, which includes GuestUnreachable. Next:
`vm/guest/agent.py`.
"""

import contextlib

import msgspec
import pytest

from tests.fuzz.harness import Fuzz, Source
from tests.fuzz.streams import ScriptedStream
from vm.errors import GuestUnreachable, MachineError
from vm.guest import agent
from vm.guest.agent import GuestAgent

REQUESTS = (
    "memory",
    "disk",
    "trim",
    "freeze",
    "settle",
    "thaw_and_set_time",
    "thaw",
    "set_time",
    "watch_disk",
)
WORDS = (b"ok", b"ok ", b"\n", b"no ", b"full\n", b" 7", b" -1", "²".encode(), b" ", b"9" * 4400)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "LINE_LIMIT", 8192)


def answers(source: Source) -> bytes:
    return source.take(1) + b"".join(source.some(12, lambda: source.pick((*WORDS, source.blob()))))


def target(data: bytes) -> None:
    which = data[0] if data else 0
    stream = ScriptedStream(data[1:], piece=1 + which % 7, tail=b"x" if which > 200 else b"")
    request = getattr(GuestAgent(lambda path: stream), REQUESTS[which % len(REQUESTS)])
    with contextlib.suppress(MachineError):
        found = request()
        if isinstance(found, agent.Watch):
            with contextlib.suppress(GuestUnreachable):
                while True:
                    found.wait()
        else:
            assert found is None or all(0 <= number < 10**20 for number in numbers(found))


def numbers(found: int | msgspec.Struct) -> tuple[int, ...]:
    return (found,) if isinstance(found, int) else msgspec.structs.astuple(found)


def test_agent(fuzz: Fuzz) -> None:
    fuzz("keeper", target, answers, WORDS)
