"""The queue of messages to one client.

Adding never blocks on the client: replies are bounded because requests are (`admit`), and of the
statuses only the latest is kept. Next: `server.py`, which sends them.
"""

import threading
from collections import deque

from engine.control.protocol import Push, Reply
from engine.types import EngineStatus


class Outbox:
    """Replies in order, and the latest status before them.

    The status goes first, so that a client that has its reply has also seen the resulting status.
    """

    def __init__(self, limit: int = 32) -> None:
        self._changed = threading.Condition()
        self._replies: deque[Reply] = deque()
        self._status: EngineStatus | None = None
        self._room = limit
        self._closed = False

    def admit(self) -> bool:
        """Make room for one reply; waits while `limit` requests have none yet. False: closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._room > 0 or self._closed)
            self._room -= 1
            return not self._closed

    def reply(self, reply: Reply) -> None:
        with self._changed:
            if not self._closed:
                self._replies.append(reply)
                self._changed.notify_all()

    def offer(self, status: EngineStatus) -> None:
        with self._changed:
            if not self._closed:
                self._status = status
                self._changed.notify_all()

    def take(self) -> Push | Reply | None:
        """The next message, when there is one; None at the end, after all that was put in."""
        with self._changed:
            self._changed.wait_for(lambda: self._status or self._replies or self._closed)
            if self._status is not None:
                push, self._status = Push(self._status), None
                return push
            if not self._replies:
                return None
            self._room += 1
            self._changed.notify_all()
            return self._replies.popleft()

    def close(self) -> None:
        """Accept no more; `take` still returns what is queued."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
