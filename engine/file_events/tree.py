"""Watches every folder below some roots: turns events of folders into changes of paths.

inotify watches single folders. New folders are watched as they appear, and files that were created
in one before it was watched are reported as new. A large tree is scanned in small steps, and events
are read in between. Next: `events.py`, whose thread owns one.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable

from engine.file_events.change import Change, Kind
from engine.file_events.inotify import IGNORED, OVERFLOW, Event, Full, Watching

STEP = 64  # folders that are scanned before events are read
NEVER = float("inf")
TICK = 0.1  # seconds by which a file's times may be behind the clock


class Tree:
    """`is_full`: some folders are not watched, because the limit is reached. One thread."""

    def __init__(
        self, watching: Watching, most: Callable[[], int], excluded: Iterable[str] = ()
    ) -> None:
        """`most`: the limit of watches, read again whenever the roots change."""
        self._watching = watching
        self._most = most
        self._limit = 0
        self._excluded = frozenset(excluded)
        self._roots: frozenset[str] = frozenset()
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        # Folders to be scanned, and the time (seconds since the epoch) since when their entries
        # are reported as new.
        self._waiting: deque[tuple[str, float]] = deque()
        self._leaving: dict[int, str] = {}  # by the rename's cookie
        self._heard = NEVER
        self.is_full = False

    def is_waiting(self) -> bool:
        """Whether `step` has more to do."""
        return bool(self._waiting)

    def is_leaving(self) -> bool:
        """Whether the second half of a rename may still come."""
        return bool(self._leaving)

    def follow(self, roots: Iterable[str]) -> None:
        """Folders, or single files, whose changes are wanted from now on."""
        new = outermost(roots)
        if new == self._roots:
            return
        for root in self._roots - new:
            self._drop(root)
        unseen = new if self.is_full else new - self._roots
        self._waiting.extend((root, NEVER) for root in unseen)
        self._roots, self._limit, self.is_full = new, self._most(), False

    def step(self) -> list[Change]:
        """Scan some more folders."""
        news: list[Change] = []
        for _ in range(min(STEP, len(self._waiting))):
            path, since = self._waiting.popleft()
            news += self._look(path, since)
        return news

    def see(self, events: Iterable[Event], now: float) -> list[Change]:
        """The changes that `events` mean. `now`: seconds since the epoch, before they were read."""
        before, self._leaving = self._leaving, {}
        changes: list[Change] = []
        for event in events:
            if event.mask & OVERFLOW:
                self._waiting.extend((root, self._heard - TICK) for root in self._roots)
            elif event.mask & IGNORED:
                self._forget(event.watch)
            elif event.watch in self._paths:
                changes += self._change(event, before)
        for path in before.values():
            self._drop(path)
        self._heard = now
        return changes

    def _change(self, event: Event, leaving: dict[int, str]) -> list[Change]:
        folder = self._paths[event.watch]
        if not event.name:  # the folder itself: its parent reports it, unless a root is a file
            is_file = not event.mask & Kind.ISDIR and folder in self._roots
            return [Change(event.mask, folder)] if is_file else []
        path = os.path.join(folder, event.name)
        if path in self._excluded:
            return []
        if event.mask & Kind.ISDIR:
            self._keep_up(event, path, leaving)
        return [Change(event.mask, path, event.cookie)]

    def _keep_up(self, event: Event, path: str, leaving: dict[int, str]) -> None:
        """A folder was created, or moved with its content."""
        if event.mask & Kind.MOVED_FROM:
            self._leaving[event.cookie] = path
        elif event.mask & Kind.MOVED_TO:
            left = self._leaving.pop(event.cookie, None) or leaving.pop(event.cookie, None)
            self._drop(path)  # an empty folder that was there is replaced
            if left is not None:
                self._rename(left, path)
            # What moved between watched folders is not new, but may have unwatched folders.
            self._waiting.append((path, NEVER if left else 0.0))
        elif event.mask & Kind.CREATE:
            self._waiting.appendleft((path, 0.0))

    def _look(self, path: str, since: float) -> list[Change]:
        """Watch a folder, then scan it: events report all that happens later."""
        if path in self._excluded or not self._watch(path):
            return []
        news: list[Change] = []
        with contextlib.suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if since < NEVER:
                    news += _news(entry, is_folder, since)
                if is_folder:
                    self._waiting.append((entry.path, since))
        return news

    def _watch(self, path: str) -> bool:
        if path not in self._watches and len(self._watches) >= self._limit:
            self.is_full = True
            return False
        try:
            watch = self._watching.add(path)
        except Full:
            self.is_full = True
            return False
        except OSError:  # it is gone already, or cannot be read
            return False
        self._forget(watch)
        old = self._watches.get(path)
        if old is not None:
            self._paths.pop(old, None)
        self._paths[watch], self._watches[path] = path, watch
        return True

    def _forget(self, watch: int) -> None:
        path = self._paths.pop(watch, None)
        if path is not None and self._watches.get(path) == watch:
            del self._watches[path]

    def _drop(self, top: str) -> None:
        """Stop to watch it and everything below."""
        for path in [path for path in self._watches if is_in(path, top)]:
            watch = self._watches.pop(path)
            self._paths.pop(watch, None)
            self._watching.remove(watch)
        self._waiting = deque(one for one in self._waiting if not is_in(one[0], top))

    def _rename(self, old: str, new: str) -> None:
        for path in [path for path in self._watches if is_in(path, old)]:
            watch = self._watches.pop(path)
            now = new + path[len(old) :]
            self._paths[watch], self._watches[now] = now, watch


def outermost(roots: Iterable[str]) -> frozenset[str]:
    """Without those that lie below others."""
    every = frozenset(roots)
    return frozenset(
        root for root in every if not any(is_in(root, other) for other in every - {root})
    )


def is_in(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def _news(entry: os.DirEntry[str], is_folder: bool, since: float) -> list[Change]:
    """The changes that inotify did not report: created and written."""
    try:
        if since and entry.stat(follow_symlinks=False).st_ctime < since:
            return []
    except OSError:
        return []
    if is_folder:
        return [Change(Kind.CREATE | Kind.ISDIR, entry.path)]
    kinds = (Kind.CREATE, Kind.MODIFY, Kind.CLOSE_WRITE)
    return [Change(kind, entry.path) for kind in kinds]
