"""Has the guest forget files of this host before it knows more than can be served.

May import: `vm`. Next: `vm/backends/qemu/crowd.py` (when that is), `shared_folders.py` (who calls).
"""

import logging
import threading
import time

from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.keeper import Dial, Keeper

log = logging.getLogger(__name__)

REST, LONGEST = 0.5, 60.0  # seconds after it was asked; longer where that was of no use
AT_ONCE = 0.05  # seconds in which it is told that it was of no use: containers have them open


class RememberedFiles:
    """A thread from `begin` until the machine ends, or until `end`."""

    def __init__(self, directory: MachineDir, backend: Backend) -> None:
        self._directory = directory
        self._backend = backend
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, dial: Dial) -> None:
        """Doing it again while it looks does nothing."""
        if self._thread is not None and self._thread.is_alive() and not self._ended.is_set():
            return
        self._ended = ended = threading.Event()
        self._thread = threading.Thread(
            target=self._look, args=(Keeper(dial), ended), name="remembered-files", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        self._ended.set()

    def _look(self, keeper: Keeper, ended: threading.Event) -> None:
        rest = REST
        while not ended.is_set():
            began = time.monotonic()
            if not self._backend.wait_crowded(self._directory) or ended.is_set():
                return
            rest = min(2 * rest, LONGEST) if time.monotonic() - began < AT_ONCE else REST
            try:
                keeper.forget()
                log.info("the guest has forgotten files of shared folders, of which it knew many")
            except GalleyError as error:
                log.warning("the guest does not forget files: %s %s", error, error.details)
            ended.wait(rest)
