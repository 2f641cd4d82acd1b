"""Swarm mode: dockerd allows it only without live-restore, which Galley turns on by default.

The bridge calls `SwarmMode.about_to` for every `docker swarm init`, `join` and `leave`. Before the
first two dockerd reloads without live-restore; after the answer to any of them live-restore is what
the data disk asks for: off in a swarm, else on. So one that failed, or a leave, turns it on again.
The same rule holds in the guest whenever dockerd starts (guest/files/usr/lib/galley/daemon-config).
Next: `engine/bridge/pump.py`, which waits for it.
"""

import logging
from collections.abc import Callable

from engine.provisioning.provisioning import Configuration
from vm.errors import GalleyError
from vm.guest.protocol import ReachableMachine

log = logging.getLogger(__name__)


class SwarmMode:
    """`awake` resumes the machine. Any thread."""

    def __init__(
        self, configuration: Configuration, awake: Callable[[], None], machine: ReachableMachine
    ) -> None:
        self._configuration = configuration
        self._awake = awake
        self._machine = machine

    def about_to(self, verb: str) -> Callable[[], None]:
        """What to do between dockerd's answer and the client. Raises GalleyError: nothing has
        changed."""
        self._awake()
        if verb != "leave":
            self._configuration.live_restore(self._machine.guest, "off")
        return self._answered

    def _answered(self) -> None:
        try:
            self._configuration.live_restore(self._machine.guest, "auto")
        except GalleyError as error:
            log.warning("live-restore stays as it is: %s %s", error.summary, error.details)
