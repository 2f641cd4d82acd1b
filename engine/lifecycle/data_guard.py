"""Keeps an older dockerd from data that a newer one has opened.

Docker upgrades its data in place and supports no way back. So before a newer major version first
opens the data disk, a snapshot is taken; an older one is refused. Where the newer version never
answered, that snapshot is restored before the older one boots. The record is the machine's
engine.json, which a snapshot has too. Next: `starting.py`, which asks.
"""

import logging

import msgspec

from engine.lifecycle.snapshots import Snapshots
from engine.messages.engine import ENGINE_OLDER
from vm.directory import MachineDir
from vm.errors import EngineFailed, Retry
from vm.host.paths import write_atomic

log = logging.getLogger(__name__)


class Opened(msgspec.Struct, frozen=True):
    """The content of engine.json. `version`: of the newest dockerd that was started with the data;
    `answered`: of the newest one that answered; `snapshot`: the one taken before `version`."""

    version: str = ""
    answered: str = ""
    snapshot: str = ""


class DataGuard:
    """Methods raise GalleyError."""

    def __init__(self, directory: MachineDir, snapshots: Snapshots) -> None:
        self._directory = directory
        self._snapshots = snapshots

    def before_boot(self, version: str) -> None:
        """In the machine's thread: dockerd of this version is about to open the data.

        Raises EngineFailed when a newer major version has, and what a snapshot raises.
        """
        directory = self._directory
        has_data = directory.data_disk.exists() and not directory.data_is_new.exists()
        then = self._read() if has_data else Opened()
        if major(version) < major(then.version):
            raise EngineFailed(
                ENGINE_OLDER,
                version=version,
                newer=then.version,
                snapshot=then.snapshot or "NAME",
                retry=Retry.NO,
            )
        if major(version) == major(then.version):
            return
        snapshot = ""
        if then.version:
            snapshot = self._free_name(major(version))
            log.info("a snapshot before Docker %s first opens the data: %s", version, snapshot)
            self._snapshots.create_before_boot(snapshot)
        self._write(Opened(version, then.answered, snapshot))

    def answered(self, version: str) -> None:
        """dockerd of this version answers."""
        then = self._read()
        if then.answered != version or then.version != version:
            self._write(Opened(version, version, then.snapshot))

    def go_back_to(self, version: str) -> None:
        """Before an older dockerd boots because a newer one did not answer: restore the data to
        the moment before that, if that one never answered. The machine is off."""
        then = self._read()
        never_answered = major(then.answered) < major(then.version)
        if major(version) < major(then.version) and never_answered and then.snapshot:
            log.warning("restoring the snapshot %s", then.snapshot)
            self._snapshots.restore(then.snapshot, cold=True)

    def _free_name(self, number: int) -> str:
        base = f"before-docker-{number}"
        taken = {one.name for one in self._snapshots.kept}
        names = [base, *(f"{base}-{count}" for count in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)

    def _read(self) -> Opened:
        try:
            return msgspec.json.decode(self._directory.engine.read_bytes(), type=Opened)
        except (OSError, msgspec.MsgspecError):
            return Opened()

    def _write(self, opened: Opened) -> None:
        write_atomic(self._directory.engine, msgspec.json.encode(opened))


def major(version: str) -> int:
    """The first number of an upstream version, `28.5.1+dfsg2`; 0 where there is none."""
    first = version.split(".")[0]
    return int(first) if first.isascii() and first.isdigit() else 0
