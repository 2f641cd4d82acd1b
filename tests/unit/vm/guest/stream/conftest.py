"""A scripted guest, a session with it, one open channel; and the guest's real program."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.background import Background
from tests.unit.vm.guest.stream.port import Machine, build_agent
from tests.unit.vm.guest.stream.scripted import Guest, opened
from vm.guest.stream.channel import Channel
from vm.guest.stream.session import AgentStream


@pytest.fixture
def new_guest() -> Iterator[Callable[..., Guest]]:
    guests: list[Guest] = []

    def make(before: bytes = b"", after: bytes = b"", pieces: int = 1) -> Guest:
        guests.append(Guest(before, after, pieces))
        return guests[-1]

    yield make
    for guest in guests:
        guest.host.close()


@pytest.fixture
def guest(new_guest: Callable[..., Guest]) -> Guest:
    return new_guest()


@pytest.fixture
def stream(guest: Guest) -> Iterator[AgentStream]:
    made = AgentStream(guest.connect, 10)
    yield made
    Background().submit(made.close).result()


@pytest.fixture
def channel(guest: Guest, stream: AgentStream) -> Channel:
    return opened(guest, stream)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_agent(tmp_path_factory.mktemp("agent"))


@pytest.fixture
def machine(program: Path) -> Iterator[Machine]:
    made = Machine(program)
    yield made
    made.close()
