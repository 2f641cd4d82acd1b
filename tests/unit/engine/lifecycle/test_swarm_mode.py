"""What dockerd is asked before a swarm is made or joined, and after each answer."""

from pathlib import Path
from typing import cast

import pytest

from engine.lifecycle.swarm_mode import SwarmMode
from engine.provisioning.provisioning import Configuration
from engine.settings.store import SettingsStore
from vm.backends.fake import FakeBackend
from vm.errors import EngineFailed, NoMachine
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.host.process import Completed
from vm.messages import Message


class ScriptedGuest:
    """Ends as it is told to, and keeps what it was asked."""

    def __init__(self, *codes: int) -> None:
        self.asked: list[str] = []
        self._codes = iter(codes)

    def run(self, argv: tuple[str, ...], *, timeout: float) -> Completed:
        self.asked.append(f"{Path(argv[0]).name} {' '.join(argv[1:])}")
        return Completed(argv, next(self._codes, 0), b"", b"")


class ScriptedMachine:
    def __init__(self, guest: ScriptedGuest) -> None:
        self.guest = cast(Guest, guest)


def swarm_mode(home: Home, guest: ScriptedGuest) -> SwarmMode:
    configuration = Configuration(home, SettingsStore(home), FakeBackend())
    return SwarmMode(configuration, lambda: guest.asked.append("awake"), ScriptedMachine(guest))


OFF, AUTO = "daemon-config live_restore off", "daemon-config live_restore auto"


@pytest.mark.parametrize(
    ("verb", "before"),
    [("init", ["awake", OFF]), ("join", ["awake", OFF]), ("leave", ["awake"])],
)
def test_live_restore_is_off_before_a_swarm_and_as_it_is_to_be_after_it(
    home: Home, verb: str, before: list[str]
) -> None:
    guest = ScriptedGuest()
    answered = swarm_mode(home, guest).about_to(verb)
    assert guest.asked == before
    answered()
    assert guest.asked == [*before, AUTO]


def test_what_dockerd_refuses_is_refused_to_the_client(home: Home) -> None:
    guest = ScriptedGuest(65)
    with pytest.raises(EngineFailed, match="allows no swarm"):
        swarm_mode(home, guest).about_to("init")
    assert guest.asked == ["awake", OFF]


def test_an_answer_passes_whatever_comes_after_it(home: Home) -> None:
    guest = ScriptedGuest(0, 67)
    swarm_mode(home, guest).about_to("init")()
    assert guest.asked[-1] == AUTO


def test_a_machine_that_does_not_come_is_told(home: Home) -> None:
    def awake() -> None:
        raise NoMachine(Message("", "There is none.", "Start it."))

    mode = SwarmMode(cast(Configuration, None), awake, ScriptedMachine(ScriptedGuest()))
    with pytest.raises(NoMachine):
        mode.about_to("leave")
