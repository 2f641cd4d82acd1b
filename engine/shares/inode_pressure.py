"""Drops the guest's cached inodes of shared folders before virtiofsd runs out of open files.

virtiofsd keeps a file open for each inode that the guest has cached. This also reports a folder
whose virtiofsd has ended. Next: `vm/backends/qemu/virtiofsd_monitor.py`, which watches both, and
`shared_folders.py`, which starts this.
"""

import logging
import threading

from vm.backend import Backend
from vm.capabilities import Lost, SharesFolders
from vm.directory import MachineDir
from vm.errors import GalleyError, MachineError
from vm.guest.agent import GuestAgent
from vm.lifecycle.machine import Machine
from vm.types import MachineState

log = logging.getLogger(__name__)


class InodePressure:
    """A thread from `begin` until the machine ends, or until `end`."""

    def __init__(self, directory: MachineDir, backend: Backend) -> None:
        self._directory = directory
        self._backend = backend
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, machine: Machine, lost: Lost) -> None:
        """Idempotent. `lost` is called from the thread with a share's number."""
        shares = self._backend.shares_folders
        if shares is None:
            return
        if self._thread is not None and self._thread.is_alive() and not self._ended.is_set():
            return
        self._ended = ended = threading.Event()
        self._thread = threading.Thread(
            target=self._look,
            args=(shares, machine, ended, lost),
            name="inode-pressure",
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
                log.warning("the guest did not drop cached inodes: %s %s", error, error.details)
                if type(error) is MachineError:  # its agent is of a version that cannot
                    is_able = False

        shares.watch(self._directory, ended, forget, lost)

    def _forget(self, machine: Machine) -> None:
        """Does nothing while the machine is paused: the guest opens no files then. No transition
        runs meanwhile."""
        if self._backend.observe(self._directory).state is MachineState.RUNNING:
            GuestAgent(machine.guest.dial).forget()
            log.info("the guest has dropped its cached inodes of shared folders")
