"""Watches the bind mounts of running containers and sends changes to the guest.

One thread reads inotify, the other sends, so that a slow guest does not delay reading: changes
queue up meanwhile, without repetitions. Both threads sleep while nothing is watched. A change that
a container made is sent as well, though the guest's kernel has raised it already: inotify does not
report the process. Next: `tree.py`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from engine.file_events.change import Change, worth_sending
from engine.file_events.event_sender import LOST, EventSender
from engine.file_events.inotify import Inotify, most_watches, supported
from engine.file_events.tree import Tree
from engine.messages.host import FILE_EVENTS_MACHINE_SILENT, FILE_EVENTS_TOO_MANY
from vm.errors import GalleyError, HostError, MachineError, Problem
from vm.guest.protocol import Stream

log = logging.getLogger(__name__)

SOCKET = "/run/galley/events.sock"  # in the guest
GATHER = 0.02  # seconds of changes that are sent together
HALF = 0.05  # seconds that the second half of a rename may take
AGAIN = 0.5  # seconds between two tries to reach the guest
TRIES = 60
MOST = 200_000  # queued changes; more are dropped


class FileEvents:
    """`problems`: why some changes are not sent; `on_change` is called when they change. Any
    thread."""

    def __init__(
        self, dial: Callable[[str], Stream], excluded: Path, on_change: Callable[[], None]
    ) -> None:
        """`dial`: to a socket of the guest. `excluded`: a folder that is not watched because Galley
        itself writes there."""
        self._sender = EventSender(partial(dial, SOCKET))
        self._excluded = str(excluded.resolve())  # as a share's path has it
        self._on_change = on_change
        self._changed = threading.Condition()
        self._roots: frozenset[str] = frozenset()
        self._changes: list[Change] = []
        self._ended = threading.Event()
        self._inotify: Inotify | None = None
        self._threads: list[threading.Thread] = []
        self._problems: dict[str, Problem] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems.values())

    def follow(self, roots: Iterable[str]) -> None:
        """Watch these folders and files from now on, and no others. Does not block."""
        wanted = frozenset(roots)
        with self._changed:
            if wanted == self._roots:
                return
            self._roots = wanted
            if not wanted:
                self._changes = []
            self._changed.notify_all()
        if not wanted:
            self._sender.close()
        if self._inotify is not None:
            self._inotify.wake()
        elif wanted and supported():
            self._begin()

    def close(self) -> None:
        self._ended.set()
        self.follow(())
        with self._changed:
            self._changed.notify_all()
        threads, self._threads = self._threads, []
        inotify, self._inotify = self._inotify, None
        if inotify is None:
            return
        inotify.wake()
        for thread in threads:
            thread.join(timeout=5)
        if not any(thread.is_alive() for thread in threads):
            inotify.close()

    def _begin(self) -> None:
        try:
            self._inotify = inotify = Inotify()
        except GalleyError as error:
            self._set_problem("inotify", error)
            return
        self._set_problem("inotify", None)
        self._threads = [
            threading.Thread(target=self._watch, args=(inotify,), name="file-events", daemon=True),
            threading.Thread(target=self._send, name="file-events-sender", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _watch(self, inotify: Inotify) -> None:
        tree = Tree(inotify, most_watches, [self._excluded])
        while not self._ended.is_set():
            tree.follow(self._roots)
            now = time.time()
            limit = 0.0 if tree.is_waiting() else HALF if tree.is_leaving() else None
            changes = [*tree.see(inotify.read(limit), now), *tree.step()]
            self._set_problem("watches", _too_many() if tree.is_full else None)
            if changes:
                self._add(changes)

    def _add(self, changes: list[Change]) -> None:
        with self._changed:
            if not self._roots:
                return
            if len(self._changes) > MOST:
                self._changes = worth_sending(self._changes)
            if len(self._changes) > MOST:
                log.warning("the machine does not take %d changes of files", len(self._changes))
                self._changes = []
            self._changes += changes
            self._changed.notify_all()

    def _send(self) -> None:
        while not self._ended.is_set():
            with self._changed:
                while not self._changes and not self._ended.is_set():
                    self._changed.wait()
            self._ended.wait(GATHER)
            with self._changed:
                changes, self._changes = self._changes, []
            self._deliver(worth_sending(changes))

    def _deliver(self, changes: list[Change]) -> None:
        """Retry until the guest has taken them or nothing is watched any more."""
        tries = 0
        while changes and self._roots and not self._ended.is_set():
            try:
                self._sender.send(changes)
            except LOST as error:
                tries += 1
                log.info("changes of files do not reach the machine: %s", error)
                if tries == TRIES:
                    self._set_problem("sender", _not_taken(str(error)))
                self._ended.wait(AGAIN)
                continue
            self._set_problem("sender", None)
            return

    def _set_problem(self, part: str, error: GalleyError | None) -> None:
        problem = None if error is None else error.to_problem()
        with self._changed:
            if problem == self._problems.get(part):
                return
            others = {name: one for name, one in self._problems.items() if name != part}
            self._problems = others if problem is None else {**others, part: problem}
        self._on_change()


def _too_many() -> HostError:
    return HostError(
        FILE_EVENTS_TOO_MANY,
    )


def _not_taken(reason: str) -> MachineError:
    return MachineError(
        FILE_EVENTS_MACHINE_SILENT,
        details=reason,
    )
