"""The log files of Galley and its parts: their paths, and reading what was appended.

Next: `engine/client/logs.py`, which reads dockerd's log in the guest.
"""

import os
from pathlib import Path

from vm.directory import MachineDir
from vm.host.paths import Home

LONGEST = 4 << 20  # bytes that are looked at for the last lines
ENGINE_LOG = "/var/log/dockerd.log"  # in the guest

type FilePosition = tuple[int, int]  # a file's inode and how far it has been read
NOWHERE: FilePosition = (0, 0)


def log_file(home: Home, component: str) -> Path:
    """`component`: "supervisor", "vm" (its console) or "backend" (the program that runs it)."""
    directory = MachineDir.of(home)
    files = {"vm": directory.console_log, "backend": directory.backend_log}
    return files.get(component, home.logs / f"{component}.log")


def read_on(path: Path, place: FilePosition | None) -> tuple[bytes, FilePosition]:
    """What was written since `place` (None: the last lines), and the new place. A file that was
    replaced or emptied is read from its beginning."""
    try:
        with open(path, "rb") as file:
            seen = os.fstat(file.fileno())
            if place is None:
                start = max(0, seen.st_size - LONGEST)
            else:
                same = place[0] == seen.st_ino and place[1] <= seen.st_size
                start = place[1] if same else 0
            file.seek(start)
            data = file.read()
            return data, (seen.st_ino, start + len(data))
    except FileNotFoundError:
        return b"", place or NOWHERE
