"""Which settings are in the file, but not yet in effect in the machine.

Values that the machine reports are compared with these; the others with their values when it
started or, if that was earlier, when this page was first shown.
"""

from collections.abc import Mapping, Sequence

from engine.settings.setting import SUPERVISOR_RESTART, Setting
from engine.settings.store import Entry
from vm.types import Status


def pending(
    entries: Sequence[Entry], before: Mapping[str, str], machine: Status | None
) -> tuple[Setting, ...]:
    """Settings that wait for a restart of what runs now; none where nothing runs."""
    if machine is None:
        return ()
    up = machine.state.is_up
    return tuple(
        entry.setting
        for entry in entries
        if entry.setting.needs_restart
        and (up or is_supervisors(entry.setting))
        and _differs(entry, before, machine)
    )


def is_supervisors(setting: Setting) -> bool:
    """Whether the supervisor applies it at its start, not the machine."""
    return setting.needs_restart == SUPERVISOR_RESTART


def _differs(entry: Entry, before: Mapping[str, str], machine: Status) -> bool:
    now = {
        "cpus": machine.cpus,
        "memory": machine.memory_bytes,
        "disk": machine.disk_bytes,
        "backend": machine.backend if entry.value != "auto" else "",
    }.get(entry.setting.name)
    if now:
        return now != entry.value
    return before.get(entry.setting.name, entry.text) != entry.text
