"""Has the guest forget files of this host before it knows more than can be served, and tells when a
folder is served no longer.

Next: `vm/backends/qemu/virtiofsd_monitor.py` (when that is), `shared_folders.py` (who
calls).
"""

import logging
import threading

from vm.backend import Backend
from vm.capabilities import Lost, SharesFolders
from vm.directory import MachineDir
from vm.errors import GalleyError, MachineError
from vm.guest.agent import Keeper
from vm.lifecycle.machine import Machine
from vm.types import MachineState

log = logging.getLogger(__name__)


class RememberedFiles:
    """A thread from `begin` until the machine ends, or until `end`."""

    def __init__(self, directory: MachineDir, backend: Backend) -> None:
        self._directory = directory
        self._backend = backend
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, machine: Machine, lost: Lost) -> None:
        """Doing it again while it looks does nothing. `lost` is called by its thread."""
        shares = self._backend.shares_folders
        if shares is None:
            return
        if self._thread is not None and self._thread.is_alive() and not self._ended.is_set():
            return
        self._ended = ended = threading.Event()
        self._thread = threading.Thread(
            target=self._look,
            args=(shares, machine, ended, lost),
            name="remembered-files",
            daemon=True,
        )
        self._thread.start()

    def end(self) -> None:
        self._ended.set()

    def _look(
        self, shares: SharesFolders, machine: Machine, ended: threading.Event, lost: Lost
    ) -> None:
        is_able = True

        def forget() -> None:
            nonlocal is_able
            if not is_able:
                return
            try:
                machine.run_exclusive(lambda: self._forget(machine))
            except GalleyError as error:
                log.warning("the guest has not forgotten files: %s %s", error, error.details)
                if type(error) is MachineError:  # it cannot, for its keeper is of another version
                    is_able = False

        shares.watch(self._directory, ended, forget, lost)

    def _forget(self, machine: Machine) -> None:
        """One that stands still looks nothing up, and would not hear. Nobody halts it meanwhile."""
        if self._backend.observe(self._directory).state is MachineState.RUNNING:
            Keeper(machine.guest.dial).forget()
            log.info("the guest has forgotten files of shared folders, of which it knew many")
