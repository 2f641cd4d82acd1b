"""The sequences that stop the engine: stop, suspend, power off; and the restart of containers.

`galley stop` ends containers in order and suspends the machine with an idle dockerd in it. Where it
cannot be suspended, or a newer guest image waits for a cold start, it is powered off.
`restart_policy.py` starts containers again. Next: `engine/engine.py`, `vm/lifecycle/machine.py`.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from engine.dockerapi.http import Dial, HttpError, ping_headers
from engine.lifecycle.auto_suspend import AutoSuspendMarker
from engine.lifecycle.restart_policy import RestartPolicy
from engine.messages.engine import ENGINE_WENT_AWAY, STOP_IN_VAIN
from engine.ports.guest_rules import NO_ROUTES, GuestRules
from engine.settings.store import SettingsStore
from vm import in_use
from vm.errors import BackendFailed, EngineUnreachable, GalleyError, Problem, from_problem
from vm.lifecycle import suspension
from vm.lifecycle.machine import Machine

log = logging.getLogger(__name__)


class StallMonitor(Protocol):
    @property
    def stalled(self) -> tuple[Problem, ...]:
        """Why the machine is stalled, so that it cannot shut down cleanly; () if it is not."""


class BoundFolders(Protocol):
    @property
    def bound(self) -> frozenset[str]:
        """The paths of this computer that running containers bind."""


class NewerImage(Protocol):
    @property
    def is_waiting(self) -> bool:
        """Whether the next start is to use a newer guest image, which a resume could not."""


class StopSequence:
    """`dial` reaches dockerd whatever state the machine is in."""

    def __init__(
        self,
        *,
        machine: Machine,
        settings: SettingsStore,
        dial: Dial,
        guest_rules: GuestRules,
        monitors: StallMonitor,
        folders: BoundFolders,
        image_updates: NewerImage,
    ) -> None:
        self._machine = machine
        self._settings = settings
        self._restarts = RestartPolicy(machine.directory.to_start)
        self._dial = dial
        self._guest_rules = guest_rules
        self._monitors = monitors
        self._folders = folders
        self._image_updates = image_updates
        self.problems: tuple[Problem, ...] = ()  # with containers that did not start again

    def stop(self) -> None:
        """Raises GalleyError."""
        self._check()
        if self._leaves_something():
            try:
                self._machine.suspend(self._empty)
                return
            except GalleyError as error:
                log.warning("powering off instead: %s %s", error.summary, error.details)
        self._machine.stop()

    def suspend(self, before: Callable[[], None] = lambda: None) -> None:
        """Suspend with running containers. Raises GalleyError; then the machine keeps running."""
        self._check()
        if (obstacle := self.obstacle()) is not None:
            raise obstacle
        self._machine.suspend(partial(self._keep_used, before))

    def auto_suspend(self, check: Callable[[], None]) -> None:
        """Like `suspend`, and cache the headers of dockerd's answer to a ping, with which pings are
        answered meanwhile. `check` raises if the machine is in use."""
        self.suspend(partial(self._keep_ping_headers, check))

    def run_suspended(self, check: Callable[[], None], work: Callable[[], None]) -> None:
        """Like `auto_suspend`, but resume the machine after `work`, also if that raises. Raises
        GalleyError, and what `check` and `work` raise."""
        self._check()
        before = partial(self._keep_ping_headers, check)
        self._machine.run_suspended(partial(self._keep_used, before), work)

    def start_again(self, dial: Dial) -> None:
        """Start what ran when the engine was stopped, by its restart policy. Raises
        EngineUnreachable if dockerd goes away meanwhile; a later call starts the rest."""
        self.problems = self._restarts.start_again(dial)
        if waiting := self._restarts.waiting:
            raise EngineUnreachable(
                ENGINE_WENT_AWAY, containers=", ".join(waiting), count=len(waiting)
            )

    def forget(self) -> None:
        """The machine is deleted."""
        self._restarts.forget()
        self.problems = ()

    def power_off(self) -> None:
        """Shut the machine down, or end it at once if it is stalled. Raises GalleyError."""
        self._machine.stop(at_once=bool(self._monitors.stalled))

    def _check(self) -> None:
        """Raises if the machine is stalled: a stop would wait in vain, and then end the machine
        like a power cut, which its user should decide."""
        for problem in self._monitors.stalled:
            kind = type(from_problem(problem))
            raise kind(STOP_IN_VAIN, problem=problem.text, hint=problem.hint_text)

    def _leaves_something(self) -> bool:
        status = self._machine.status
        healthy = status.state.is_up and status.problem is None
        wanted = self._settings.current().suspend and not self._image_updates.is_waiting
        return self.obstacle() is None and healthy and wanted

    def obstacle(self) -> BackendFailed | None:
        """Why the machine can never be suspended here."""
        return suspension.unsupported() if self._machine.backend.suspends is None else None

    def _keep_used(self, before: Callable[[], None]) -> None:
        before()
        in_use.keep(self._machine.directory, self._folders.bound)

    def _keep_ping_headers(self, check: Callable[[], None]) -> None:
        check()
        marker = AutoSuspendMarker(self._machine.directory.auto_suspended)
        try:
            marker.set(ping_headers(self._dial))
        except (HttpError, OSError) as error:
            log.warning("dockerd does not answer a ping: %s", error)

    def _empty(self) -> None:
        """Stop the containers, and remove their rules in the guest."""
        self._restarts.stop_all(self._dial)
        self._guest_rules.apply(self._machine.guest, NO_ROUTES)
        in_use.keep(self._machine.directory, ())
