"""How many files and sockets this process may have open. May import: the standard library.

Systems begin with few, for the sake of programs that wait with select(2), which can count to 1024
only. Nothing of ours does, and every connection that is carried takes two.
"""

import contextlib
import sys

if sys.platform != "win32":
    import resource

WANTED = 65536
FEW = 10240  # what macOS takes where it says that there is no limit


def allow_many() -> None:
    """As many as the system allows without asking, up to `WANTED`; what we start inherits it."""
    if sys.platform == "win32":  # sockets have no such limit there
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    for wanted in (most, min(most, FEW)):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
