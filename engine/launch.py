"""Finding the supervisor, and starting it when there is none. May import: `control.client`, `vm`.

    client = ensure_supervisor(home)     one is running when this returns
    client = connect_only(home)          None when none is running; starts nothing

A new supervisor reports to `run/launch.sock`, where its launcher listens: ready, or the Problem
that kept it from coming up. Two launchers at once take turns (`run/launch.lock`), so the second finds
what the first has started. Nothing here ever ends a supervisor but `restart_supervisor`, which is
told to. Next: `supervisor.py`.
"""

import contextlib
import os
import sys
import threading
import time
from multiprocessing.connection import Client, Listener
from pathlib import Path

import msgspec

from engine.control.client import ControlClient, NobodyListens
from engine.control.protocol import Launched, address, decode_launched
from vm.errors import SupervisorGone, from_problem
from vm.host.lock import FileLock
from vm.host.logs import tail
from vm.host.paths import Home, make_home, unusable
from vm.host.process import Identity, identify, is_alive, spawn_detached, wait_gone

START_SECONDS = 30.0
QUIT_SECONDS = 20.0
REPORT_LIMIT = 256 * 1024  # bytes


def connect_only(home: Home) -> ControlClient | None:
    """The running supervisor, or None. Raises VersionMismatch, SupervisorGone (it hangs)."""
    try:
        return ControlClient.connect(home)
    except NobodyListens:
        return None


def ensure_supervisor(home: Home, *, seconds: float = START_SECONDS) -> ControlClient:
    """The supervisor, started if need be.

    Raises what kept it from starting (SettingsError, HostError), VersionMismatch when one of
    another version runs, SupervisorGone when it does not come up within `seconds`.
    """
    client = connect_only(home)
    if client is not None:
        return client
    make_home(home)
    deadline = time.monotonic() + seconds
    with FileLock(home.run / "launch.lock"):
        while True:
            client = connect_only(home)
            if client is not None:
                return client
            if time.monotonic() > deadline:
                raise _failed(home, f"did not come up within {seconds:g} s")
            if _launch(home, deadline).already:
                time.sleep(0.1)  # another one holds the lock: it is ending, or about to answer


def restart_supervisor(home: Home) -> ControlClient:
    """End the running one, of whatever version, and start ours. The VM keeps running."""
    with contextlib.suppress(NobodyListens):
        with ControlClient.connect(home, any_version=True) as old:
            identity = identify(old.hello.pid)
            old.call("quit")
        if identity is not None and not wait_gone(identity, QUIT_SECONDS):
            raise SupervisorGone(
                f"Galley's background process did not end within {QUIT_SECONDS:g} s.",
                f"End process {identity.pid} and try again; the VM keeps running meanwhile.",
                details=tail(home.logs / "supervisor.log"),
            )
    return ensure_supervisor(home)


def _launch(home: Home, deadline: float) -> Launched:
    """Start one and return its report; raises what it reports, or SupervisorGone."""
    place = address(home, "launch")
    try:
        if os.name == "posix":
            Path(place).unlink(missing_ok=True)  # of a launcher that was killed: we hold its lock
        listener = Listener(place)
    except OSError as error:
        raise unusable(home.root, error) from error
    with listener:
        child = _spawn(home)
        threading.Thread(
            target=_wake_when_gone, args=(child, deadline, place), name="launch watch", daemon=True
        ).start()
        while True:
            report = _hear(listener)
            if report is not None:
                break
            if not is_alive(child):
                raise _failed(home, "ended while it was starting")
            if time.monotonic() > deadline:
                raise _failed(home, "did not come up in time")
    if report.problem is not None:
        raise from_problem(report.problem)
    return report


def _spawn(home: Home) -> Identity:
    """`-P`: a directory called `engine` where the user happens to be must not be taken for ours."""
    said = _first_words(home)
    said.unlink(missing_ok=True)
    ours = str(Path(__file__).parents[1])
    paths = [ours, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return spawn_detached(
        [sys.executable, "-P", "-m", "engine.supervisor"],
        log=said,
        env={"GALLEY_HOME": str(home.root), "PYTHONPATH": os.pathsep.join(paths)},
    )


def _hear(listener: Listener) -> Launched | None:
    """The next report; None when somebody only came to wake us."""
    with contextlib.suppress(EOFError, OSError, msgspec.DecodeError), listener.accept() as child:
        report: Launched = decode_launched(child.recv_bytes(REPORT_LIMIT))
        return report
    return None


def _wake_when_gone(child: Identity, deadline: float, place: str) -> None:
    """Knock at the launcher's socket when its child has ended or its time is over."""
    wait_gone(child, max(0.0, deadline - time.monotonic()))
    with contextlib.suppress(OSError):
        Client(place).close()


def _first_words(home: Home) -> Path:
    """What a supervisor said before, or beside, its log: Python's own complaints."""
    return home.logs / "supervisor-start.log"


def _failed(home: Home, how: str) -> SupervisorGone:
    said = [tail(_first_words(home)), tail(home.logs / "supervisor.log")]
    return SupervisorGone(
        f"Galley's background process {how}.",
        "See the details, and `galley logs --component supervisor`.",
        details="\n".join(text for text in said if text),
    )
