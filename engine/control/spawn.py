"""Starts a supervisor and waits for its report.

The new process reports to `run/launch.sock`, where `spawn` listens: ready, or the Problem that kept
it from starting, or that another supervisor runs already. A thread that waits for the end of the
process, or for the deadline, connects to the same socket, so `spawn` waits in one place and polls
nothing. Loaded only when a supervisor has to be started. Next: `engine/supervisor.py`.
"""

import contextlib
import os
import sys
import threading
import time
from multiprocessing.connection import Client, Listener
from pathlib import Path

from engine.control.protocol import Launched, address, decode_launched
from engine.dockercli.context import context_name
from engine.json_input import UNREADABLE
from engine.messages.engine import SUPERVISOR_ENDED, SUPERVISOR_LATE, SUPERVISOR_NOT_UP
from vm.errors import SupervisorGone, from_problem
from vm.host import session
from vm.host.logs import tail
from vm.host.paths import Home, unusable
from vm.host.process import Identity, is_alive, spawn_detached, wait_gone
from vm.messages import Text

MODULE = "engine.supervisor"
REPORT_LIMIT = 256 * 1024  # bytes


def spawn(home: Home, deadline: float) -> Launched:
    """Start one and return its report; raises the Problem in it, or SupervisorGone.

    `deadline` is of `time.monotonic`. The caller must hold `launch.lock`.
    """
    place = address(home, "launch")
    try:
        if os.name == "posix":
            Path(place).unlink(missing_ok=True)  # of a launcher that was killed: we hold its lock
        listener = Listener(place)
        if os.name == "posix":
            Path(place).chmod(0o600)
    except OSError as error:
        raise unusable(home.root, error) from error
    with listener:
        child = _start_process(home)
        threading.Thread(
            target=_connect_when_over,
            args=(child, deadline, place),
            name="launch watch",
            daemon=True,
        ).start()
        report = _wait_for_report(home, listener, child, deadline)
    if report.problem is not None:
        raise from_problem(report.problem)
    return report


def did_not_come_up(home: Home, how: Text) -> SupervisorGone:
    """The error, with the supervisor's last output and the end of its log."""
    outputs = [tail(_startup_output(home)), tail(home.logs / "supervisor.log")]
    return SupervisorGone(
        SUPERVISOR_NOT_UP,
        how=how,
        details="\n".join(text for text in outputs if text),
    )


def _start_process(home: Home) -> Identity:
    """`-P`: a directory called `engine` in the working directory must not be imported."""
    output = _startup_output(home)
    output.unlink(missing_ok=True)
    ours = str(Path(__file__).parents[2])
    paths = [ours, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    env = {"GALLEY_HOME": str(home.root), "PYTHONPATH": os.pathsep.join(paths)}
    python = (sys.executable, "-P", "-m")
    apart = session.apart(f"{context_name(home)}-session", (*python, "engine.cli", "stop"), env)
    return spawn_detached([*apart, *python, MODULE], log=output, env=env)


def _wait_for_report(home: Home, listener: Listener, child: Identity, deadline: float) -> Launched:
    while True:
        report = _read_report(listener)
        if report is not None:
            return report
        if not is_alive(child):
            raise did_not_come_up(home, SUPERVISOR_ENDED.text())
        if time.monotonic() > deadline:
            raise did_not_come_up(home, SUPERVISOR_LATE.text())


def _read_report(listener: Listener) -> Launched | None:
    """The next report; None if the connection had none."""
    with contextlib.suppress(EOFError, OSError, *UNREADABLE), listener.accept() as child:
        report: Launched = decode_launched(child.recv_bytes(REPORT_LIMIT))
        return report
    return None


def _connect_when_over(child: Identity, deadline: float, place: str) -> None:
    wait_gone(child, max(0.0, deadline - time.monotonic()))
    with contextlib.suppress(OSError):
        Client(place).close()


def _startup_output(home: Home) -> Path:
    """The supervisor's stdout and stderr: Python's own errors."""
    return home.logs / "supervisor-start.log"
