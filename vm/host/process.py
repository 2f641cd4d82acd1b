"""The only module that starts, identifies, watches and ends processes.

A process is never identified by its pid alone: `Identity` is pid plus start time, so that a reused
pid is never signalled. Processes of other users have no identity here.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from vm.errors import GalleyError, ToolMissing
from vm.host.ownership import owns_process
from vm.host.poll import readable
from vm.messages import Message, Text
from vm.messages.host import COMMAND_TIMED_OUT, TOOL_MISSING, TOOL_NOT_INSTALLED

# PermissionError where PATH has a folder that we may not enter: the program may be in there.
NOT_THERE = (FileNotFoundError, PermissionError)


class Identity(msgspec.Struct, frozen=True):
    """One process. `started`: seconds since the epoch."""

    pid: int
    started: float


class Completed(msgspec.Struct, frozen=True):
    """A command that has ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    def tail(self, lines: int = 20) -> str:
        """The command and its last output, for an error's details."""
        text = (self.stdout + self.stderr).decode(errors="replace").splitlines()
        return "\n".join(["$ " + " ".join(self.argv), *text[-lines:]])


class TimedOut(GalleyError):
    """A command passed its deadline and was ended."""


def find_tool(name: str, hint: Text | Message) -> Path:
    """The program's path. Raises ToolMissing with `hint` when it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(TOOL_NOT_INSTALLED, name=name, hint=hint)
    return Path(found)


def _missing(words: tuple[str, ...], error: OSError) -> ToolMissing:
    return ToolMissing(TOOL_MISSING, name=words[0], details=str(error))


def command_line(argv: Sequence[str]) -> str:
    """As one line, in the syntax that programs on Windows parse."""
    return subprocess.list2cmdline(argv)


def run(
    argv: Sequence[str | Path],
    *,
    stdin: bytes | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a command to its end and return its output; never raises for an exit code.

    Raises ToolMissing when the program is missing, TimedOut after `timeout` seconds.
    """
    words = tuple(str(word) for word in argv)
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            check=False,
        )
    except NOT_THERE as error:
        raise _missing(words, error) from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(
            COMMAND_TIMED_OUT, command=words[0], seconds=timeout, details=" ".join(words)
        ) from error
    return Completed(words, done.returncode, done.stdout, done.stderr)


def stream(
    argv: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a command to its end, passing on each line of stdout and stderr as it arrives."""
    words = tuple(str(word) for word in argv)
    kept: list[str] = []
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
        )
    except NOT_THERE as error:
        raise _missing(words, error) from error
    assert child.stdout is not None
    try:
        for raw in child.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            kept = [*kept[-200:], line]
            on_line(line)
    except BaseException:
        child.terminate()
        raise
    finally:
        child.stdout.close()
        child.wait()
    return Completed(words, child.returncode, "\n".join(kept).encode(), b"")


class Companion:
    """A helper program that ends with this process: its stdin is closed then.

    Its first line of output means that it is ready. Raises ToolMissing when it is missing.
    """

    def __init__(self, argv: Sequence[str | Path]) -> None:
        words = tuple(str(word) for word in argv)
        try:
            self._child = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=os.name == "posix",  # Ctrl+C in a terminal is not for it
            )
        except NOT_THERE as error:
            raise _missing(words, error) from error
        self._stderr_lines: deque[str] = deque(maxlen=50)
        self._first = b""
        self._has_line = threading.Event()
        self._readers = [
            threading.Thread(target=read, name=f"companion {words[0]}", daemon=True)
            for read in (self._read_output, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def is_ready(self, seconds: float) -> bool:
        """Wait for its first line; False when it ends before that, or after `seconds`."""
        return self._has_line.wait(seconds) and bool(self._first)

    def complaints(self) -> str:
        """The last lines of its stderr; all of them once it has ended."""
        if not self.is_alive:
            self._readers[1].join(1.0)
        return "\n".join(self._stderr_lines)

    def end(self, *, patience: float = 5.0) -> None:
        """End it and wait for it; it is killed after `patience` seconds."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        self._child.terminate()
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for reader in self._readers:
            reader.join(1.0)

    def _read_output(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as output:
            self._first = output.readline()
            self._has_line.set()
            while output.read(4096):
                pass

    def _read_errors(self) -> None:
        assert self._child.stderr is not None
        with self._child.stderr as errors:
            for line in errors:
                self._stderr_lines.append(line.decode(errors="replace").rstrip())


def spawn_detached(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    inherits: tuple[int, ...] = (),
) -> Identity:
    """Start a process that outlives this one, in a session of its own, its output appended to
    `log`. It inherits the descriptors in `inherits` under the same numbers.

    Raises ToolMissing. The caller watches it with `wait_gone`; a reaper thread is not needed, for
    `is_alive` counts a zombie as dead.
    """
    words = tuple(str(word) for word in argv)
    with open(log, "ab") as output:
        child = _popen_detached(words, output, env, inherits)
    identity = identify(child.pid)
    _children[child.pid] = child
    return identity or Identity(child.pid, 0.0)


_children: dict[int, subprocess.Popen[bytes]] = {}


def _popen_detached(
    words: tuple[str, ...],
    output: IO[bytes],
    env: Mapping[str, str] | None,
    inherits: tuple[int, ...],
) -> subprocess.Popen[bytes]:
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=None if env is None else {**os.environ, **env},
            start_new_session=os.name == "posix",
            creationflags=flags,
            close_fds=True,
            pass_fds=inherits,
            cwd=Path(sys.executable).anchor,  # or it would keep our working directory in use
        )
    except NOT_THERE as error:
        raise _missing(words, error) from error


def identify(pid: int) -> Identity | None:
    """The identity of a living process of this user, or None. An ending process lives until its
    last thread does: its files are open and its locks are held, although Linux shows a zombie
    already."""
    import psutil  # here and below: slow to import, and not needed to run programs

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
            return None
        return Identity(pid, process.create_time()) if owns_process(process) else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def is_alive(identity: Identity) -> bool:
    """True while exactly this process runs: False for a zombie, or another process with its pid."""
    seen = identify(identity.pid)
    if seen is not None and abs(seen.started - identity.started) < 0.02:
        return True
    _reap(identity.pid)  # after the check: one that ended between the two would stay a zombie
    return False


def reap() -> None:
    """Reap detached children that have ended and that nothing waits for."""
    for pid in tuple(_children):
        _reap(pid)


def _reap(pid: int) -> None:
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        _children.pop(pid, None)


def wait_gone(identity: Identity, timeout: float | None) -> bool:
    """Block until the process has ended; False after `timeout` seconds.

    Uses a pidfd where the system has one (no polling), else polls five times a second.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    handle = _open_pidfd(identity)
    try:
        while is_alive(identity):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            if handle is None:
                time.sleep(0.2 if left is None else min(0.2, left))
            else:
                readable(handle)(None if left is None else int(left * 1000) + 1)
        return True
    finally:
        if handle is not None:
            os.close(handle)


def _open_pidfd(identity: Identity) -> int | None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return os.pidfd_open(identity.pid)
    return None


def end(identity: Identity, *, force: bool = False) -> None:
    """Terminate (or kill) exactly this process. Does nothing when it is gone or the system refuses;
    `wait_gone` returns whether it ended."""
    if not is_alive(identity):
        return
    import psutil

    try:
        process = psutil.Process(identity.pid)
        process.kill() if force else process.terminate()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def replace_with(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Become another program where the system can; elsewhere run it and return its exit code."""
    if os.name == "posix":
        sys.stdout.flush()
        os.execvpe(argv[0], list(argv), {**os.environ, **env})
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.call(list(argv), env={**os.environ, **env})
    finally:
        signal.signal(signal.SIGINT, previous)


def resident_bytes(identity: Identity) -> int:
    """Resident memory of the process, 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(identity.pid).memory_info().rss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def cpu_seconds(identity: Identity) -> float:
    """User plus system time so far, 0.0 when the process is gone."""
    import psutil

    try:
        times = psutil.Process(identity.pid).cpu_times()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return float(times.user + times.system)
