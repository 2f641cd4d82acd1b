"""A supervisor's state of its machine: the published status, the guest's connection, the token that
cancels a start, the watch for its exit.

The machine's worker thread owns it, except for `cancel`. Next: `machine.py`.
"""

import threading
from collections.abc import Callable
from typing import Any

from vm.backend import Backend
from vm.capabilities import Suspends
from vm.directory import MachineDir
from vm.errors import NoMachine
from vm.guest.protocol import Guest
from vm.lifecycle.boot_steps import BootStory
from vm.lifecycle.exit_watch import ExitWatch
from vm.lifecycle.status import StatusPublisher
from vm.messages.machine import MACHINE_NOT_RUNNING
from vm.types import MachineState, Observation, Status


class MachineHandle:
    """`on_exit` is called from a thread of its own when the machine's process has ended, and
    `on_reachable`, once it is set, with each guest that answers."""

    def __init__(
        self, directory: MachineDir, backend: Backend, on_exit: Callable[[], None]
    ) -> None:
        self.directory = directory
        self.backend = backend
        self.story = BootStory(directory, backend)
        self.status = StatusPublisher(Status(MachineState.ABSENT, backend.name))
        self.exit_watch = ExitWatch(self.story.wait_end, on_exit)
        self.cancel = threading.Event()
        self.is_closing = False  # the machine keeps running
        self.on_reachable: Callable[[Guest], None] = lambda guest: None
        self._guest: Guest | None = None

    @property
    def state(self) -> MachineState:
        """As published."""
        return self.status.status.state

    @property
    def guest(self) -> Guest | None:
        """None when there is no connection."""
        return self._guest

    @property
    def running_guest(self) -> Guest:
        """Raises NoMachine when there is no connection."""
        guest = self._guest
        if guest is None:
            raise NoMachine(MACHINE_NOT_RUNNING)
        return guest

    def observe(self) -> Observation:
        return self.backend.observe(self.directory)

    def hold(self, guest: Guest) -> None:
        self._guest = guest
        self.on_reachable(guest)

    def drop_guest(self) -> None:
        """Close the connection, after the machine has ended."""
        guest, self._guest = self._guest, None
        self.exit_watch.forget()
        if guest is not None:
            guest.close()

    def see(self, seen: Observation, **changes: Any) -> None:
        """Publish what was observed, with `changes`."""
        resumable = seen.state is MachineState.STOPPED and self.saved_by() is not None
        self.status.see(seen, **{"resumable": resumable, **changes})

    def saved_by(self) -> Suspends | None:
        """The capability that can resume the machine; None where it is not suspended."""
        suspends = self.backend.suspends
        is_saved = suspends is not None and suspends.is_suspended(self.directory)
        return suspends if is_saved else None
