"""Client for the guest agent: freezes the disk, sets the clock, reads memory and disk use.

`engine/guest/files/source/keeper.c` is the agent and documents the protocol: one line for each
request, one for its answer. Each call makes a connection of its own (a few ms) and keeps no state,
so a GuestAgent works with any machine that `dial` connects to. Next: `protocol.py`.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence

from vm.errors import GuestUnreachable, MachineError, Retry
from vm.guest.protocol import Stream
from vm.messages.guest import GUEST_OTHER_VERSION, GUEST_REFUSED, GUEST_SILENT
from vm.types import GuestDisk, GuestMemory

SOCKET = "/run/galley/keeper.sock"
QUICK = 5.0  # seconds for requests that the guest answers at once
FREEZE = 10.0  # the guest itself aborts a freeze after 5
SEED = 64  # bytes
LINE_LIMIT = 64 * 1024  # bytes
DIGITS = 20  # of the largest number
RESTARTS_WITHIN = 1.0  # seconds until init has restarted an agent
FORGET = 20.0  # a million files
SLOW = 120.0  # for requests whose duration grows with the disk or memory in use

Dial = Callable[[str], Stream]


class GuestAgent:
    """Thread-safe. Every call raises GuestUnreachable when the guest does not answer in time, and
    MachineError when the agent refuses the request."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    def freeze(self) -> None:
        """Sync the data disk and block its writers until `thaw`, for at most a minute of the
        guest's time. Idempotent."""
        self._ask("freeze", limit=FREEZE)

    def settle(self) -> None:
        """Prepare memory for being copied (`shrink` of keeper.c), then `freeze`. The first takes at
        most 0.3 s of the guest's time, and may be incomplete."""
        with _Connection(self._dial, FREEZE) as guest:
            _, frozen = guest.answers("shrink", "freeze")
            _check(("freeze",), (frozen,))  # an agent of another version may have no shrink

    def thaw(self) -> None:
        """Let writers continue; does nothing when the disk is not frozen."""
        self._ask("thaw")

    def set_time(self) -> None:
        """Set the guest's clock to this computer's, which is read once the guest is connected."""
        with _Connection(self._dial, QUICK) as guest:
            guest.ask(_time_now())

    def thaw_and_set_time(self) -> None:
        """`thaw` and `set_time` of a resumed guest, on one connection. A fresh seed is sent, too: a
        guest that is resumed more than once, from a snapshot, must not repeat its keys."""
        requests = ("thaw", _time_now())
        with _Connection(self._dial, QUICK) as guest:
            _, *answers = guest.answers(f"seed {os.urandom(SEED).hex()}", *requests)
            _check(requests, answers)  # an agent of another version may have no seed

    def memory(self) -> GuestMemory:
        return GuestMemory(*self._numbers("memory", 5))

    def disk(self) -> GuestDisk:
        return GuestDisk(*self._numbers("disk", 3))

    def trim(self) -> int:
        """Discard the free space of the data disk. Returns the number of bytes discarded, which may
        include some that were discarded before."""
        return self._numbers("trim", 1, SLOW)[0]

    def reclaim(self) -> None:
        """Free memory whose content can be read from the disk again."""
        self._ask("reclaim", limit=SLOW)

    def forget(self) -> None:
        """Drop cached names and attributes of files that are not open, shared folders included."""
        self._ask("forget", limit=FORGET)

    def watch_clock(self) -> "Watch":
        """Report "clock" for every change of the guest's clock by another process, from the return
        of this call on."""
        return self._watch("clock")

    def watch_disk(self) -> "Watch":
        """Report "full" when the data disk becomes full (at once where it is), and "room" when it
        has space again."""
        return self._watch("disk")

    def _watch(self, what: str) -> "Watch":
        guest = _Connection(self._dial, QUICK)
        try:
            guest.ask(f"watch {what}")
        except MachineError:
            guest.close()
            raise
        return Watch(guest)

    def _ask(self, request: str, limit: float = QUICK) -> str:
        with _Connection(self._dial, limit) as guest:
            return guest.ask(request)

    def _numbers(self, request: str, count: int, limit: float = QUICK) -> list[int]:
        words = self._ask(request, limit).split()
        if len(words) != count or not all(map(_is_number, words)):
            raise _refused(request, f"its answer was {' '.join(words) or 'empty'}")
        return [int(word) for word in words]


class Watch:
    """Reports that the guest sends unasked. One thread waits, any may close."""

    def __init__(self, guest: "_Connection") -> None:
        self._guest = guest

    def wait(self) -> str:
        """Block until the next report. Raises GuestUnreachable when the guest is lost, or this was
        closed."""
        return self._guest.line()

    def close(self) -> None:
        self._guest.close()


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= DIGITS


def _time_now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"time {seconds}.{nanoseconds:09}"


class _Connection:
    """A connection that ends unless requests are answered within `limit` seconds."""

    def __init__(self, dial: Dial, limit: float) -> None:
        self._limit = limit
        self._received = b""
        try:
            self._stream = _connect(dial)
        except ConnectionRefusedError as error:
            raise MachineError(
                GUEST_OTHER_VERSION,
                details=str(error),
                retry=Retry.NO,
            ) from error
        except OSError as error:
            raise _silent(error) from error

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: str) -> str:
        """The answer's text after "ok"."""
        return _check((request,), self.answers(request))

    def answers(self, *requests: str) -> list[str]:
        """One line for each request. All are sent at once, and carried out in this order."""
        late = threading.Timer(self._limit, self._stream.close)
        late.daemon = True
        late.start()
        try:
            self._stream.sendall("".join(f"{request}\n" for request in requests).encode())
            return [self.line() for _ in requests]
        except OSError as error:
            raise _silent(error) from error
        finally:
            late.cancel()

    def line(self) -> str:
        """Block until the guest's next line."""
        while b"\n" not in self._received:
            try:
                data = self._stream.recv(4096)
            except OSError as error:
                raise _silent(error) from error
            if not data:
                raise _silent(EOFError("the guest hung up"))
            self._received += data
            if len(self._received) > LINE_LIMIT:
                self.close()
                raise _silent(EOFError("its answer is too long"))
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace")

    def close(self) -> None:
        self._stream.close()


def _connect(dial: Dial) -> Stream:
    """Connect, and retry while the guest's init restarts an agent that has ended. Raises
    OSError."""
    until = time.monotonic() + RESTARTS_WITHIN
    while True:
        try:
            return dial(SOCKET)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _check(requests: Sequence[str], answers: Sequence[str]) -> str:
    """The last answer's text after "ok". Raises MachineError for the first refused request."""
    rest = ""
    for request, answer in zip(requests, answers, strict=True):
        outcome, _, rest = answer.partition(" ")
        if outcome != "ok":
            raise _refused(request, rest or outcome)
    return rest


def _silent(error: Exception) -> GuestUnreachable:
    return GuestUnreachable(GUEST_SILENT, reason=error)


def _refused(request: str, reason: str) -> MachineError:
    task = request.partition(" ")[0]
    return MachineError(
        GUEST_REFUSED,
        task=task,
        reason=reason,
    )
