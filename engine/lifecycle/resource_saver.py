"""Spares this computer an engine that nobody uses: pauses its machine, and wakes it again.

Idle is: no container runs (or all that do are paused), and no client of the docker socket is at
work (`engine/bridge/activity.py`), for as long as the setting says. Nothing looks whether it is so:
the thread sleeps until the earliest moment at which it can be, which each byte only puts off, and
while it cannot be, until something ends. Waking is done by whoever needs the machine, in `awake`.

The race between them: who comes notes the time and then looks at the machine's state; the machine
is marked paused (or to be put away) first, and then this looks at the time (`Machine.pause`, and
`suspend`). One sees the other. A machine that was put away, suspended to disk, is known by a file
beside it: also the supervisor after this one gives it to its first user. One that its user has
stopped has no such file. Next: `vm/lifecycle/machine.py`.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from engine.ports.published_spec import Container
from engine.settings.store import SettingsStore
from vm.backend import Backend
from vm.errors import GalleyError, MachineBusy
from vm.host.paths import write_atomic
from vm.types import MachineState, Status

log = logging.getLogger(__name__)

AWAY = (MachineState.STOPPING, MachineState.STOPPED)
UNDONE = 60.0  # seconds; who has it back so soon does so whenever it is put away
LONGEST = 16  # times as long as wished, for that
QUIET = 0.01  # seconds of CPU in a second, below which containers use none


class Rules(msgspec.Struct, frozen=True):
    """What the user has set. Seconds; 0 is never."""

    pause_after: float
    suspend_after: float
    with_containers: bool  # which run and use no CPU
    by_ports: bool = False  # it wakes when somebody comes to a port that they publish


class Pausable(Protocol):
    """What it needs of `vm.lifecycle.machine.Machine`."""

    @property
    def status(self) -> Status: ...
    def pause(self, may: Callable[[], bool]) -> bool: ...
    def wake(self) -> None: ...


class Saver:
    """`cpu_seconds`: what these containers have used so far; raises GalleyError. `suspend`: to
    disk, where the backend can, unless what it calls when nobody is served any more raises;
    `start`: from there, for the first who needs it; `auto_suspended` is a file of ours. `woken`:
    what has to be put right before it is used. `kept`: told when one that was put away, or was to
    be, stays where it is. `hears_ports`: that who comes to a port of a paused machine will wake it. For any
    thread. Without `set_rules` it pauses nothing."""

    def __init__(
        self,
        machine: Pausable,
        cpu_seconds: Callable[[Sequence[Container]], float],
        auto_suspended: Path,
        suspend: Callable[[Callable[[], None]], None] | None = None,
        start: Callable[[], None] = lambda: None,
        woken: Callable[[], None] = lambda: None,
        kept: Callable[[], None] = lambda: None,
        hears_ports: Callable[[], bool] = lambda: True,
    ) -> None:
        self._machine = machine
        self._rules = Rules(0, 0, False)
        self._cpu_seconds = cpu_seconds
        self._suspend = suspend
        self._start = start
        self._put_away = auto_suspended
        self._since: float | None = None  # when it was
        self._leaves = False  # it is being put away
        self._wakes = 0  # under way
        self._times = 1  # as long as wished does it stay paused before
        self._woken = woken
        self._kept = kept
        self._hears_ports = hears_ports
        self._changed = threading.Condition(threading.Lock())
        self._waits_for_end = False
        self._at_work = 0
        self._used = time.monotonic()  # when somebody last did
        self._came = 0.0  # when somebody last needed it awake, if only to look
        self._containers: tuple[Container, ...] | None = None  # that run; None: nobody knows
        self._looked: tuple[float, float] | None = None  # when, and how much CPU they had used
        self._paused = 0.0  # when it was
        self._ended = False
        self._thread = threading.Thread(target=self._watch, name="saver", daemon=True)

    def open(self) -> None:
        """Once the machine has been seen."""
        if self._machine.status.state is not MachineState.STOPPED:
            self.forget()  # who was putting it away has died meanwhile
        self._thread.start()

    def close(self) -> None:
        """Pause nothing any more; what is paused stays so."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    @property
    def is_away(self) -> bool:
        """Put away, or about to be: its first use brings it back."""
        return self._machine.status.state in AWAY and self._put_away.exists()

    @property
    def is_saving(self) -> bool:
        """The same, as it is shown: who sees it wake for a moment, to be suspended, would look."""
        return self.is_away or (self._leaves and self._machine.status.state.is_up)

    # --- who uses it (`engine.bridge.activity.ActivityMonitor`) --------------------

    def awake(self, uses: bool = True) -> None:
        self._came = time.monotonic()
        if uses:
            self._used = self._came
        state = self._machine.status.state
        if state is MachineState.PAUSED:
            self._wake()
            self._woken()
        elif self.is_away or self._leaves:  # it runs for a moment before it is suspended
            self._note_return()
            self._start()

    def _wake(self) -> None:
        """Of one that an earlier supervisor has paused, the way in has to be found first."""
        with self._changed:
            self._wakes += 1
        try:
            self._machine.wake()
        finally:
            with self._changed:
                self._wakes -= 1
                self._changed.notify_all()

    def _note_return(self) -> None:
        """What comes again by itself and asks for more than events is not told from a user."""
        with self._changed:
            since, self._since = self._since, None
            if since is not None:
                soon = time.monotonic() - since < UNDONE
                self._times = min(2 * self._times, LONGEST) if soon else 1

    def forget(self) -> None:
        """It is back, or its user stops it: from now on nobody gets it by only asking for it."""
        was_away = self.is_away
        self._put_away.unlink(missing_ok=True)
        self.notify()
        if was_away:
            self._kept()

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Its user does it, even where we were about to put it away."""
        self.forget()
        try:
            yield
        finally:
            self.forget()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """In here it is suspended and comes back by itself: who comes meanwhile waits, and, should
        we die, brings it back."""
        write_atomic(self._put_away, b"")
        try:
            yield
        finally:
            if self._machine.status.state not in AWAY:
                self.forget()

    def begin(self) -> None:
        with self._changed:
            self._at_work += 1

    def end(self) -> None:
        with self._changed:
            self._at_work -= 1
            self._used = time.monotonic()
            if self._at_work == 0 and self._waits_for_end:
                self._changed.notify_all()

    def moved(self) -> None:
        self._used = time.monotonic()

    def keep_awake(self) -> Callable[[], None]:
        """Awake, until what is returned is called, once. Raises GalleyError."""
        self.begin()
        try:
            self.awake()
        except GalleyError:
            self.end()
            raise
        return self.end

    # --- who can wait (`engine.bridge.deferred.SuspendGate`) ---------------------------------

    def is_suspended(self) -> bool:
        state = self._machine.status.state
        if state is MachineState.STARTING and self._wakes:
            return True
        return state in (*AWAY, MachineState.STARTING) and self._put_away.exists()

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        with self._changed:
            self._changed.wait_for(lambda: until() or not self.is_suspended())

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def cached_ping_headers(self) -> bytes:
        try:
            return self._put_away.read_bytes()
        except FileNotFoundError:
            return b""

    # --- what it is told ---------------------------------------------------------------------

    def follow(self, state: MachineState) -> None:
        """The machine's state, as it changes."""
        with self._changed:
            now = time.monotonic()
            if state is MachineState.PAUSED:
                self._paused = now
            else:
                self._used = now
            self._changed.notify_all()

    def containers(self, running: Sequence[Container] | None) -> None:
        """Those that run, as they change; None: nobody knows, for the engine does not answer."""
        with self._changed:
            self._containers = None if running is None else tuple(running)
            self._looked = None
            self._used = time.monotonic()
            self._changed.notify_all()

    def set_rules(self, rules: Rules) -> None:
        with self._changed:
            self._rules = rules
            self._changed.notify_all()

    # --- its thread --------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._ended:
            with self._changed:
                rules = self._rules
                act, wait = self._due(rules)
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
            try:
                act(rules)
            except (GalleyError, OSError) as error:
                details = error.details if isinstance(error, GalleyError) else ""
                log.warning("the machine cannot be spared: %s %s", error, details)
                self._put_off()

    def _due(self, rules: Rules) -> tuple[Callable[[Rules], None], float | None]:
        """What to do next, and in how many seconds; None: when something has changed."""
        self._waits_for_end = False
        state, now = self._machine.status.state, time.monotonic()
        if self._ended:
            return self._pause, None
        if state is MachineState.PAUSED:
            may = self._suspend is not None and rules.suspend_after > 0 and self._may_leave()
            due = self._paused + self._times * rules.suspend_after
            return self._suspend_now, due - now if may else None
        if state is not MachineState.RUNNING or not rules.pause_after or not self._may_idle(rules):
            return self._pause, None
        self._waits_for_end = self._at_work > 0
        return self._pause, None if self._waits_for_end else self._used + rules.pause_after - now

    def _may_idle(self, rules: Rules) -> bool:
        """Whether containers let it, as far as can be told without asking them."""
        if self._containers is None:
            return False
        running = _unpaused(self._containers)
        if rules.with_containers:
            return rules.by_ports or not any(one.publishes for one in running)
        return not running

    def _may_leave(self) -> bool:
        """Who comes to a UDP port brings nothing back from the disk."""
        return not any(one.publishes_udp for one in _unpaused(self._containers or ()))

    def _pause(self, rules: Rules) -> None:
        containers = self._containers
        if containers is None or not self._are_quiet(_unpaused(containers)):
            self._put_off()
            return

        began = time.monotonic()
        publishes = any(one.publishes for one in containers)

        def is_idle() -> bool:
            if publishes and not self._hears_ports():
                return False
            with self._changed:
                idle_for = time.monotonic() - self._used
                same = self._containers is containers and self._came < began
                return same and self._at_work == 0 and idle_for >= rules.pause_after

        if self._machine.pause(is_idle):
            log.info("paused: nobody has used it for %g s", rules.pause_after)

    def _are_quiet(self, running: Sequence[Container]) -> bool:
        """Whether they have used no CPU since the last look. Raises GalleyError."""
        if not running:
            return True
        before, used, now = self._looked, self._cpu_seconds(running), time.monotonic()
        with self._changed:
            self._looked = now, used
        return before is not None and used - before[1] <= QUIET * (now - before[0])

    def _put_off(self) -> None:
        self._used = time.monotonic()

    def _suspend_now(self, rules: Rules) -> None:
        paused, self._paused = self._paused, time.monotonic()  # again later, if it fails

        def check() -> None:
            if self._at_work > 0 or self._came >= paused:
                raise MachineBusy("Somebody has come who needs the machine.")

        if self._suspend is not None:
            log.info("suspending: paused for %g s", rules.suspend_after)
            write_atomic(self._put_away, b"")
            self._leaves = True
            try:
                self._suspend(check)
                self._since = time.monotonic()
            except (GalleyError, OSError):
                self._leaves = False
                self.forget()
                self._kept()
                raise
            finally:
                self._leaves = False


def rules(settings: SettingsStore, backend: Backend) -> Rules:
    """What the settings say now, where the machine can be paused."""
    if backend.pauses is None:
        return Rules(0, 0, False)
    now = settings.current()
    return Rules(
        now.save_after,
        now.suspend_after if backend.suspends is not None else 0,
        now.save_busy,
        backend.wakes_on_traffic is not None,
    )


def _unpaused(containers: Sequence[Container]) -> tuple[Container, ...]:
    return tuple(one for one in containers if one.State != "paused")
