"""Finds this user's processes by program name, for those whose record is lost.

Name and arguments of a process can be seen and copied by every local user. So processes of other
users are left out here, before anybody looks at their arguments.
"""

from collections.abc import Iterator

import psutil

from vm.host.process import Identity, identify


def own(prefix: str) -> Iterator[tuple[Identity, list[str]]]:
    """Those whose name begins with `prefix`, each with its command line. One that ends meanwhile is
    left out."""
    for candidate in psutil.process_iter(["name"]):
        if not (candidate.info["name"] or "").startswith(prefix):
            continue
        identity = identify(candidate.pid)
        if identity is not None:
            yield identity, command_line(candidate.pid)


def command_line(pid: int) -> list[str]:
    """Empty when the process has ended, is ending, or may not be asked."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []
