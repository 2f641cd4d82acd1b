"""The moments of a suspend and of a resume at which tests kill a process or cut the power.

Next: `test_suspend.py` (the power), `test_kills.py` (QEMU, the supervisor).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from vm.backends.qemu.state import saved, suspend
from vm.lifecycle.bring_up import BringUp


class Moment(NamedTuple):
    """Just before or just after a call of a function."""

    place: Any  # a module or a class
    function: str
    after: bool = False

    @property
    def name(self) -> str:
        return f"{'after' if self.after else 'before'}-{self.function.strip('_')}"


SAVING = (
    Moment(saved, "_need_space"),
    Moment(saved, "_stop_and_save"),
    Moment(saved, "_write_memory"),
    Moment(saved, "end"),
    Moment(suspend, "_commit"),
    Moment(suspend, "write_atomic"),
    Moment(suspend, "write_atomic", after=True),
)
RESUMING = (
    Moment(suspend, "_load_fitting"),
    Moment(saved, "start", after=True),
    Moment(saved, "_read_memory"),
    Moment(saved, "_await_migration"),
    Moment(suspend, "forget"),
    Moment(suspend, "forget", after=True),
    Moment(BringUp, "_booted"),
)
SUSPEND = {"saving": SAVING, "resuming": RESUMING}


def at(
    moment: Moment, do: Callable[[], object], patch: Callable[[Any, str, object], object]
) -> Callable[[], bool]:
    """Calls `do` at the moment's first occurrence; `patch` replaces a function. Returns a function
    that tells whether the moment was reached."""
    original, left = getattr(moment.place, moment.function), [do]

    def work(*words: Any, **named: Any) -> Any:
        if left and not moment.after:
            left.pop()()
        result = original(*words, **named)
        if left and moment.after:
            left.pop()()
        return result

    patch(moment.place, moment.function, work)
    return lambda: not left
