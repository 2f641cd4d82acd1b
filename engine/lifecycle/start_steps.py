"""The start's steps in a machine that can be reached, until clients are served.

They are the second half of a boot; after a resume all but the last two pass at once. Next:
`starting.py`, `vm/lifecycle/boot_steps.py` (the first half).
"""

import contextlib
import threading
from collections.abc import Callable

from engine.bridge.unix import connect
from engine.dockerapi.http import HttpError, get, ping
from engine.lifecycle.configuring import ConfigureSequence
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.lifecycle.reactions import Reactions
from engine.lifecycle.stopping import StopSequence
from engine.log_files import ENGINE_LOG
from engine.messages.engine import (
    ENGINE_DOES_NOT_START,
    ENGINE_STEP_AGAIN,
    STEP_ANSWER,
    STEP_CONFIGURE,
    STEP_CONTAINERD,
    STEP_DOCKERD,
    STEP_START_AGAIN,
)
from engine.shares.shared_folders import SharedFolders
from vm.errors import BootFailed, EngineFailed, GalleyError
from vm.guest.protocol import Guest, Stream
from vm.host.paths import Home
from vm.lifecycle.machine import Machine
from vm.lifecycle.steps import Patience, Step

DOCKER_SOCKET = "/run/docker.sock"  # in the guest
ANSWERING = STEP_ANSWER.text()
STARTING_AGAIN = STEP_START_AGAIN.text()
SERVED = (ANSWERING, STARTING_AGAIN)  # steps during which clients are served


class EngineSteps:
    """Makes the steps of `machine`, which run in its worker thread."""

    def __init__(
        self,
        *,
        home: Home,
        machine: Machine,
        folders: SharedFolders,
        watch: EngineWatch,
        reactions: Reactions,
        configuring: ConfigureSequence,
        stop_sequence: StopSequence,
        answered: Callable[[], None],
    ) -> None:
        """`answered` is called once dockerd answers."""
        self._home = home
        self._machine = machine
        self._folders = folders
        self._watch = watch
        self._reactions = reactions
        self._configuring = configuring
        self._stop_sequence = stop_sequence
        self._answered = answered

    def make(self) -> list[Step]:
        machine = self._machine
        again = ENGINE_STEP_AGAIN.text()

        def containerd(wait: Patience) -> None:
            self._folders.begin(machine)
            _wait_for_line(machine, wait, "containerd")

        def dockerd(wait: Patience) -> None:
            _wait_for_line(machine, wait, "engine")

        def configure(wait: Patience) -> None:
            """Before dockerd is reported as running: it may have to restart for this."""
            wait.wait(0.0)
            self._configuring.configure_booted()

        def answer(wait: Patience) -> None:
            self._folders.look(machine.story.console.lines())
            self._answer(wait)
            self._answered()

        def start_again(wait: Patience) -> None:
            wait.wait(0.0)
            self._stop_sequence.start_again(self._dial)
            self._watch.settle(wait.wait)  # the ports of resumed containers are open then

        return [
            Step(STEP_CONTAINERD.text(), containerd, 120.0, again),
            Step(STEP_DOCKERD.text(), dockerd, 180.0, again),
            Step(STEP_CONFIGURE.text(), configure, 240.0, again),
            Step(ANSWERING, answer, 60.0, again),
            Step(STARTING_AGAIN, start_again, 600.0),
        ]

    def _answer(self, wait: Patience) -> None:
        """dockerd is ready when a ping through the host's own socket succeeds and events are
        read."""
        self._watch.begin(self._reactions.health_seen, self._reactions.containers_changed)
        while not ping(self._dial):
            wait.wait(0.05)
        while not self._watch.health.reachable:
            wait.wait(0.01)

    def _dial(self) -> Stream:
        return connect(self._home.docker_socket, own=True)


def warm_up_dockerd(guest: Guest) -> None:
    """Send dockerd a request after a resume from disk, and ignore the answer. The first answer is
    slow because the page cache is cold; this warms it before a client's request. Returns at
    once."""

    def ask() -> None:
        with contextlib.suppress(GalleyError, HttpError, OSError):
            get(lambda: guest.dial(DOCKER_SOCKET), "/containers/json")

    threading.Thread(target=ask, name="warm-up-dockerd", daemon=True).start()


def _wait_for_line(machine: Machine, wait: Patience, line: str) -> None:
    try:
        machine.story.wait_for_line(wait, line)
    except BootFailed as error:
        tail = machine.guest.run(("tail", "-n", "20", ENGINE_LOG), timeout=10)
        raise EngineFailed(
            ENGINE_DOES_NOT_START,
            details=tail.stdout.decode(errors="replace") or error.details,
        ) from error
