"""Watches what containers have of this host, and tells the guest what changes.

One thread looks and listens, the other sends, so that a slow guest makes nobody deaf: what comes
meanwhile waits, and is said once. While there is nothing to watch, both sleep. A change that a
container has made is told as well, after the guest's own kernel has told it: nobody here knows
whose it was. Next: `tree.py`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.file_events.change import Change, worth_sending
from engine.file_events.event_sender import LOST, Courier
from engine.file_events.inotify import Inotify, most_watches
from engine.file_events.tree import Tree
from vm.errors import GalleyError, HostError, MachineError, Problem
from vm.guest.protocol import Stream

log = logging.getLogger(__name__)

GATHER = 0.02  # seconds in which what comes is sent together
HALF = 0.05  # seconds that the second half of a rename may take
AGAIN = 0.5  # seconds between two tries to reach the guest
TRIES = 60
MOST = 200_000  # changes that wait for a guest that does not take them


class FileEvents:
    """For any thread. `problems`: why some changes are not told; `on_change` is called when they
    have become others."""

    def __init__(
        self, dial: Callable[[], Stream], left_out: Path, on_change: Callable[[], None]
    ) -> None:
        """`left_out`: a folder that nobody wants to hear of, for it always changes."""
        self._courier = Courier(dial)
        self._left_out = str(left_out.resolve())  # as a share's path has it
        self._on_change = on_change
        self._changed = threading.Condition()
        self._roots: frozenset[str] = frozenset()
        self._changes: list[Change] = []
        self._ended = threading.Event()
        self._inotify: Inotify | None = None
        self._threads: list[threading.Thread] = []
        self._in_the_way: dict[str, Problem] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._in_the_way.values())

    def follow(self, roots: Iterable[str]) -> None:
        """From now on these, folders or files, and no others. Does not wait for anything."""
        wanted = frozenset(roots)
        with self._changed:
            if wanted == self._roots:
                return
            self._roots = wanted
            if not wanted:
                self._changes = []
            self._changed.notify_all()
        if not wanted:
            self._courier.close()
        if self._inotify is not None:
            self._inotify.wake()
        elif wanted:
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
            self._tell("inotify", error)
            return
        self._tell("inotify", None)
        self._threads = [
            threading.Thread(target=self._watch, args=(inotify,), name="file-events", daemon=True),
            threading.Thread(target=self._send, name="file-events-courier", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _watch(self, inotify: Inotify) -> None:
        tree = Tree(inotify, most_watches, [self._left_out])
        while not self._ended.is_set():
            tree.follow(self._roots)
            now = time.time()
            limit = 0.0 if tree.is_waiting() else HALF if tree.is_leaving() else None
            changes = [*tree.see(inotify.read(limit), now), *tree.step()]
            self._tell("watches", _too_many() if tree.is_full else None)
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
        """Until the guest has them, or nobody wants it any more."""
        tries = 0
        while changes and self._roots and not self._ended.is_set():
            try:
                self._courier.send(changes)
            except LOST as error:
                tries += 1
                log.info("changes of files do not reach the machine: %s", error)
                if tries == TRIES:
                    self._tell("courier", _not_taken(str(error)))
                self._ended.wait(AGAIN)
                continue
            self._tell("courier", None)
            return

    def _tell(self, part: str, error: GalleyError | None) -> None:
        problem = None if error is None else error.to_problem()
        with self._changed:
            if problem == self._in_the_way.get(part):
                return
            others = {name: one for name, one in self._in_the_way.items() if name != part}
            self._in_the_way = others if problem is None else {**others, part: problem}
        self._on_change()


def _too_many() -> HostError:
    return HostError(
        "Not every change of a file on this computer is told to containers: they have more "
        "folders of it than Galley may watch.",
        "Raise Linux's limit, of which Galley takes half, then start the container again: "
        "sudo sysctl fs.inotify.max_user_watches=1048576",
    )


def _not_taken(reason: str) -> MachineError:
    return MachineError(
        "Changes of files on this computer are not told to containers: the machine does not "
        "answer.",
        "Try again: galley restart",
        details=reason,
    )
