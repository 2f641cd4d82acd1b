"""The marker file of an automatic suspend.

It exists while the machine is suspended and its next use resumes it, also under the next
supervisor. A machine that its user has stopped has none. Its content is the headers of dockerd's
last answer to a ping, with which the bridge answers pings meanwhile. Next: `idle_tracker.py`,
`engine/bridge/deferred.py`.
"""

from pathlib import Path

from vm.host.paths import write_atomic


class AutoSuspendMarker:
    """`path` is `MachineDir.auto_suspended`. Any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        return self._path.exists()

    def set(self, ping_headers: bytes = b"") -> None:
        """Raises HomeUnusable, DiskFull."""
        write_atomic(self._path, ping_headers)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    def ping_headers(self) -> bytes:
        """b"" if there are none."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
