"""Another local user, who imitates the processes of this user."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ID = 65534
PATIENCE = 20.0  # seconds; only a test that fails waits so long


@contextmanager
def process_of_other(folder: Path, name: str, words: list[str]) -> Iterator[int]:
    """Runs a process of the other user with this name and these arguments; yields its pid.
    `folder`: holds the program; every user may enter it."""
    program = folder / name
    program.write_text('#!/bin/sh\necho "$$"\nread line\n')
    program.chmod(0o755)
    child = subprocess.Popen(
        [program, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=ID,
        group=ID,
        extra_groups=(),
        cwd="/",
    )
    with child:
        assert child.stdout is not None
        assert int(child.stdout.readline()) == child.pid
        yield child.pid
        child.kill()


def as_other(work: Callable[[], object]) -> None:
    """Runs `work` as the other user in a child process; fails if it raises or takes too long."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(int(PATIENCE))
            os.setgroups([])
            os.setgid(ID)
            os.setuid(ID)
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
