"""Finds this user's processes by program name, for those whose record is lost.

Every local user can see and imitate the name and arguments of a process. So processes of other
users are excluded before arguments are read.
"""

from collections.abc import Iterator

import psutil

from vm.host.process import Identity, identify


def own(prefix: str) -> Iterator[tuple[Identity, list[str]]]:
    """This user's processes whose name begins with `prefix`, each with its command line; without
    those that end meanwhile."""
    for candidate in psutil.process_iter(["name"]):
        if not (candidate.info["name"] or "").startswith(prefix):
            continue
        identity = identify(candidate.pid)
        if identity is not None:
            yield identity, command_line(candidate.pid)


def command_line(pid: int) -> list[str]:
    """Empty when the process has ended, is ending, or is not accessible."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []
