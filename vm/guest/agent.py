"""The machine's disk, memory and clock in the host's hand.

The guest's end is `engine/guest/files/source/keeper.c`, which has the protocol: a line there, a
line back. Each call makes a connection of its own (a few ms) and keeps nothing, so that a
GuestAgent is good for whatever machine `dial` leads to. Next: `protocol.py`.
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
QUICK = 5.0  # seconds for what the guest answers at once
FREEZE = 10.0  # the guest itself gives up after 5
SEED = 64  # bytes
LINE_LIMIT = 64 * 1024  # bytes
DIGITS = 20  # of the largest number
AGAIN_WITHIN = 1.0  # seconds that a keeper takes to be started again
FORGET = 20.0  # a million of them
SLOW = 120.0  # for what takes as long as the disk is full or memory is used

Dial = Callable[[str], Stream]


class GuestAgent:
    """For any thread. Every call raises GuestUnreachable when the guest does not answer in time,
    and MachineError when it cannot do what was asked."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    def freeze(self) -> None:
        """Everything on the data disk is written down, and who writes now waits: until `thaw`, but
        for a minute of the guest's time at most. Frozen already is frozen."""
        self._ask("freeze", limit=FREEZE)

    def settle(self) -> None:
        """`freeze`, after memory has been made ready to be copied: see `shrink` of keeper.c. For no
        longer than 0.3 s of the guest's time, and it does not matter how far that comes."""
        with _Conversation(self._dial, FREEZE) as guest:
            _, frozen = guest.answers("shrink", "freeze")
            _check(("freeze",), (frozen,))  # one of another version knows no shrink

    def thaw(self) -> None:
        """Let writers go on; nothing happens when the disk is not frozen."""
        self._ask("thaw")

    def set_time(self) -> None:
        """Set the guest's clock to this computer's, which is read when the guest is connected."""
        with _Conversation(self._dial, QUICK) as guest:
            guest.ask(_time_now())

    def thaw_and_set_time(self) -> None:
        """`thaw` and `set_time` of a guest that goes on from the disk, in one conversation. It may
        do so more than once, from a snapshot, and is to draw other keys each time."""
        requests = ("thaw", _time_now())
        with _Conversation(self._dial, QUICK) as guest:
            _, *answers = guest.answers(f"seed {os.urandom(SEED).hex()}", *requests)
            _check(requests, answers)  # one of another version may know no seed

    def memory(self) -> GuestMemory:
        return GuestMemory(*self._numbers("memory", 5))

    def disk(self) -> GuestDisk:
        return GuestDisk(*self._numbers("disk", 3))

    def trim(self) -> int:
        """Give back what is free on the data disk; how many bytes the disk was told of, of which
        it may have known some."""
        return self._numbers("trim", 1, SLOW)[0]

    def reclaim(self) -> None:
        """Give back memory that holds what can be read again from the disk."""
        self._ask("reclaim", limit=SLOW)

    def forget(self) -> None:
        """Give up what is known of files that nobody has open, the host's among them."""
        self._ask("forget", limit=FORGET)

    def watch_clock(self) -> "Watch":
        """From its return on, every change of the guest's clock by somebody else is told, as
        "clock"."""
        return self._watch("clock")

    def watch_disk(self) -> "Watch":
        """Tells when the data disk is becoming full ("full"; at once where it is), and when it has
        room again ("room")."""
        return self._watch("disk")

    def _watch(self, what: str) -> "Watch":
        guest = _Conversation(self._dial, QUICK)
        try:
            guest.ask(f"watch {what}")
        except MachineError:
            guest.close()
            raise
        return Watch(guest)

    def _ask(self, request: str, limit: float = QUICK) -> str:
        with _Conversation(self._dial, limit) as guest:
            return guest.ask(request)

    def _numbers(self, request: str, count: int, limit: float = QUICK) -> list[int]:
        words = self._ask(request, limit).split()
        if len(words) != count or not all(map(_is_number, words)):
            raise _refused(request, f"its answer was {' '.join(words) or 'empty'}")
        return [int(word) for word in words]


class Watch:
    """What the guest tells by itself. One thread waits, any may close."""

    def __init__(self, guest: "_Conversation") -> None:
        self._guest = guest

    def wait(self) -> str:
        """The next word. Raises GuestUnreachable when the guest is lost, or this was closed."""
        return self._guest.line()

    def close(self) -> None:
        self._guest.close()


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= DIGITS


def _time_now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"time {seconds}.{nanoseconds:09}"


class _Conversation:
    """One connection. What is asked is answered within `limit` seconds, or the connection ends."""

    def __init__(self, dial: Dial, limit: float) -> None:
        self._limit = limit
        self._received = b""
        try:
            self._stream = _dialled(dial)
        except ConnectionRefusedError as error:
            raise MachineError(
                GUEST_OTHER_VERSION,
                details=str(error),
                retry=Retry.NO,
            ) from error
        except OSError as error:
            raise _silent(error) from error

    def __enter__(self) -> "_Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: str) -> str:
        """What follows "ok"."""
        return _check((request,), self.answers(request))

    def answers(self, *requests: str) -> list[str]:
        """To each its line. All are sent at once, and done in this order."""
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
        """The next that the guest says, whenever that is."""
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


def _dialled(dial: Dial) -> Stream:
    """The guest's init starts a keeper again that has ended, and that takes a moment. Raises
    OSError."""
    until = time.monotonic() + AGAIN_WITHIN
    while True:
        try:
            return dial(SOCKET)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _check(requests: Sequence[str], answers: Sequence[str]) -> str:
    """What follows the last one's "ok". Raises MachineError of the first that was refused."""
    rest = ""
    for request, answer in zip(requests, answers, strict=True):
        said, _, rest = answer.partition(" ")
        if said != "ok":
            raise _refused(request, rest or said)
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
