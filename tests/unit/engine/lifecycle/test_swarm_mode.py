"""The commands in the guest before a swarm is created or joined, and after each response."""

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
    """Records the commands, and ends them with the given exit codes."""

    def __init__(self, *codes: int) -> None:
        self.commands: list[str] = []
        self._codes = iter(codes)

    def run(self, argv: tuple[str, ...], *, timeout: float) -> Completed:
        self.commands.append(f"{Path(argv[0]).name} {' '.join(argv[1:])}")
        return Completed(argv, next(self._codes, 0), b"", b"")


class ScriptedMachine:
    def __init__(self, guest: ScriptedGuest) -> None:
        self.guest = cast(Guest, guest)


def swarm_mode(home: Home, guest: ScriptedGuest) -> SwarmMode:
    configuration = Configuration(home, SettingsStore(home), FakeBackend())
    return SwarmMode(configuration, lambda: guest.commands.append("awake"), ScriptedMachine(guest))


OFF, AUTO = "daemon-config live_restore off", "daemon-config live_restore auto"


@pytest.mark.parametrize(
    ("verb", "before"),
    [("init", ["awake", OFF]), ("join", ["awake", OFF]), ("leave", ["awake"])],
)
def test_live_restore_is_off_before_a_swarm_and_automatic_after_it(
    home: Home, verb: str, before: list[str]
) -> None:
    guest = ScriptedGuest()
    on_response = swarm_mode(home, guest).about_to(verb)
    assert guest.commands == before
    on_response()
    assert guest.commands == [*before, AUTO]


def test_a_refusal_by_dockerd_is_an_error_for_the_client(home: Home) -> None:
    guest = ScriptedGuest(65)
    with pytest.raises(EngineFailed, match="allows no swarm"):
        swarm_mode(home, guest).about_to("init")
    assert guest.commands == ["awake", OFF]


def test_a_failure_after_the_response_is_no_error(home: Home) -> None:
    guest = ScriptedGuest(0, 67)
    swarm_mode(home, guest).about_to("init")()
    assert guest.commands[-1] == AUTO


def test_a_machine_that_does_not_start_is_an_error(home: Home) -> None:
    def awake() -> None:
        raise NoMachine(Message("", "There is none.", "Start it."))

    mode = SwarmMode(cast(Configuration, None), awake, ScriptedMachine(ScriptedGuest()))
    with pytest.raises(NoMachine):
        mode.about_to("leave")
