"""Answers of a hostile guest to the client of its agent.

The first byte of an input chooses what is asked, and whether the guest ever ends; the rest is what
it says. Only MachineError may come of it, which GuestUnreachable is one of. Next:
`vm/guest/agent.py`.
"""

import contextlib

import msgspec
import pytest

from tests.fuzz.harness import Fuzz, Source
from tests.fuzz.streams import Fed
from vm.errors import GuestUnreachable, MachineError
from vm.guest import agent
from vm.guest.agent import GuestAgent

ASKED = (
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
    stream = Fed(data[1:], piece=1 + which % 7, tail=b"x" if which > 200 else b"")
    asked = getattr(GuestAgent(lambda path: stream), ASKED[which % len(ASKED)])
    with contextlib.suppress(MachineError):
        found = asked()
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
