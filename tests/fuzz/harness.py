"""The fuzzers' harness: runs a target for some seconds and checks the invariants of every input.

A target is a function that takes bytes and raises if the product behaves wrongly. The inputs of its
corpus (`corpus/TARGET/`) run first, then new ones from hypothesis's random bytes: inputs by the
target's grammar, and mutations of the corpus. For every input, no thread may end by an exception,
no thread or descriptor may leak, and memory and CPU time must stay within a bound. A failing input
is shrunk and written to the corpus: commit it with the fix. Linux only. Next: `conftest.py`, any
target.
"""

import hashlib
import itertools
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

CORPUS = Path(__file__).with_name("corpus")
BATCH = 200  # inputs of one hypothesis run; the next one has another seed
PATIENCE = 10.0  # seconds; only a failure waits so long
MOST_CPU = 5.0  # seconds for one input; the slowest takes a tenth of it
MOST_MEMORY = 48 << 20  # bytes that one input may allocate
MOST_KEPT = 96 << 20  # bytes that a whole run may leak
MUTATIONS = 8  # changes of a corpus input at most
SHRINKING = 20.0  # seconds for shrinking a failing input
ENTROPY = 384  # bytes that an input is made from

type Target = Callable[[bytes], None]
type Grammar = Callable[["Source"], bytes]


class Hang(Exception):
    """An input took more than MOST_CPU seconds of CPU time."""


class Fuzz:
    """Runs a target for `seconds`. The same `seed` gives the same inputs in the same order."""

    def __init__(self, seconds: float, seed: int) -> None:
        self._seconds = seconds
        self._seed = seed
        self.count = 0

    def __call__(
        self, name: str, target: Target, grammar: Grammar, words: Sequence[bytes] = (b"",)
    ) -> None:
        """`words`: pieces to insert in corpus inputs."""
        until = time.monotonic() + self._seconds
        corpus = [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
        assert corpus, f"{CORPUS / name} is empty"
        with Guard() as guard:
            for data in corpus:
                self.count += 1
                guard.check(target, data)
            before = guard.memory()

            def made(entropy: bytes) -> bytes:
                source = Source(entropy)
                if source.one_in(3):
                    return mutated(source, source.pick(corpus), words)
                return grammar(source)

            for number in itertools.count():
                if time.monotonic() > until:
                    break
                self._batch(name, lambda data: guard.check(target, data), made, number, until)
            grown = guard.memory() - before
        assert grown < MOST_KEPT, f"{self.count} inputs leak {grown >> 20} MiB"

    def _batch(
        self,
        name: str,
        check: Target,
        made: Callable[[bytes], bytes],
        number: int,
        until: float,
    ) -> None:
        failed: list[bytes] = []

        @seeded(self._seed + number)
        @settings(
            max_examples=BATCH,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,
        )
        @given(st.binary(min_size=ENTROPY, max_size=ENTROPY))
        def one(entropy: bytes) -> None:
            nonlocal until
            data = made(entropy)
            if time.monotonic() > until and data not in failed:
                return
            self.count += 1
            try:
                check(data)
            except HypothesisException:
                raise
            except BaseException:
                if not failed:
                    until = time.monotonic() + SHRINKING
                failed.append(data)
                raise

        try:
            one()
        except BaseException as error:
            if failed:
                error.add_note(f"{self.count} inputs; kept as {_keep(name, failed[-1])}")
            raise


def _keep(name: str, data: bytes) -> Path:
    path = CORPUS / name / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


class Source:
    """Makes choices from random bytes. hypothesis generates and shrinks one block of bytes a
    hundred times as fast as a hundred choices of its own. At its end every choice is the first."""

    def __init__(self, entropy: bytes) -> None:
        self._entropy = entropy
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._entropy[self._at : self._at + size]
        self._at += size
        return taken.ljust(size, b"\0")

    def below(self, limit: int) -> int:
        return int.from_bytes(self.take((limit.bit_length() + 7) // 8 + 1)) % limit

    def one_in(self, number: int) -> bool:
        return self.below(number) == number - 1

    def pick[T](self, ones: Sequence[T]) -> T:
        return ones[self.below(len(ones))]

    def some[T](self, most: int, make: Callable[[], T]) -> list[T]:
        return [make() for _ in range(self.below(most + 1))]

    def blob(self, most: int = 6) -> bytes:
        return self.take(self.below(most + 1))


def mutated(source: Source, data: bytes, words: Sequence[bytes]) -> bytes:
    """The input with pieces removed, doubled and inserted."""
    for _ in range(source.below(MUTATIONS)):
        start = source.below(len(data) + 1)
        end = min(len(data), start + source.pick((0, 0, 1, 2, 4, 16, 256)))
        made = (source.pick(words), data[start:end] * 2, source.blob(4))
        data = data[:start] + source.pick(made) + data[end:]
    return data


class Guard:
    """Checks the invariants of every input, in addition to the target's own checks."""

    def __init__(self) -> None:
        self._died: list[threading.ExceptHookArgs] = []

    def __enter__(self) -> "Guard":
        self._hook, threading.excepthook = threading.excepthook, self._died.append
        self._handler = signal.signal(signal.SIGPROF, _hang)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGPROF, self._handler)
        threading.excepthook = self._hook

    def check(self, target: Target, data: bytes) -> None:
        """Raises what the target raises, AssertionError, Hang."""
        held = _threads_and_descriptors()

        def is_clear() -> bool:
            """Threads and descriptors of earlier tests may still end, so less is fine."""
            return all(
                now <= then for now, then in zip(_threads_and_descriptors(), held, strict=True)
            )

        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of memory, proc(5)
        before = self.memory()
        try:
            with _limited():
                target(data)
        except BaseException:
            with suppress(AssertionError):  # threads that still end do not count for the next input
                wait_until(is_clear, seconds=0.5)
            raise
        grown = _status("VmHWM") - before
        wait_until(is_clear, lambda: f"{_threads_and_descriptors()} instead of {held}")
        if self._died:
            died = self._died[:]
            self._died.clear()
            raise AssertionError(f"a thread ended by {died[0].exc_value!r}") from died[0].exc_value
        assert grown < MOST_MEMORY, f"one input allocates {grown >> 20} MiB"

    def memory(self) -> int:
        return _status("VmRSS")


def wait_until(
    holds: Callable[[], bool], detail: Callable[[], str] = lambda: "", seconds: float = PATIENCE
) -> None:
    """Polls a condition; only a failure reaches the deadline."""
    until = time.monotonic() + seconds
    tick = threading.Event()
    while not holds():
        assert time.monotonic() < until, f"not within {seconds:g} s: {detail()}"
        tick.wait(0.0005)


def join(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread.name} does not end"


def _threads_and_descriptors() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


@contextmanager
def _limited() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise Hang(f"one input took more than {MOST_CPU:g} s of CPU time")
