"""Publishes the machine's status as an immutable value, replaced at every change.

Next: `handle.py`, which holds a machine's publisher.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from vm.lifecycle.steps import boot_step
from vm.messages import Text
from vm.types import TRANSITIONS, MachineState, Observation, Status


class StatusPublisher:
    """`on_change`, once it is set, gets every new Status, from the thread that has changed it."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.on_change: Callable[[Status], None] = lambda status: None

    def set(self, **changes: Any) -> None:
        changed = msgspec.structs.replace(self.status, **changes)
        if changed != self.status:
            self.status = changed
            self.on_change(changed)

    def move(self, state: MachineState, **changes: Any) -> None:
        now = self.status.state
        if state is not now and state not in TRANSITIONS[now]:
            raise AssertionError(f"no way from {now} to {state}")
        self.set(state=state, **changes)

    def see(self, seen: Observation, **changes: Any) -> None:
        """Publish an observation, which may lead to any state."""
        spec = seen.spec
        fields: dict[str, Any] = {"share_by": seen.share_by}
        if spec is not None:
            fields |= {"cpus": spec.cpus, "memory_bytes": spec.memory_bytes}
            fields["disk_bytes"] = spec.disk_bytes
        self.set(**{"state": seen.state, "accelerator": seen.accelerator, **fields, **changes})

    def note(self, text: Text) -> None:
        """Show the progress of a long step as its name."""
        self.set(boot=(*self.status.boot[:-1], boot_step(text)))
