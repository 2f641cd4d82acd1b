"""Keeps an older dockerd from data that a newer one has opened.

Docker upgrades its data in place and supports no way back. So before a newer major version first
opens the data disk, a snapshot is taken. An older one is refused if the newer one has ever
answered; if it has not, that snapshot is restored first, and nothing is lost. The record is the
machine's engine.json, which a snapshot has too. Next: `starting.py`, which asks.
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
        """In the machine's thread, before a cold start: dockerd of this version is about to open
        the data.

        Raises EngineFailed when a newer major version has answered with it, and what making or
        restoring a snapshot raises.
        """
        then = self._read()
        while major(version) < major(then.version):  # two newer ones may have been tried
            then = self._go_back(version, then)
        if major(version) > major(then.version):
            self._go_on(version, then)

    def answered(self, version: str) -> None:
        """dockerd of this version answers."""
        then = self._read()
        if then.answered != version or then.version != version:
            self._write(Opened(version, version, then.snapshot))

    def fits(self, version: str) -> bool:
        """Whether this version can open the data as it is."""
        return major(version) == major(self._read().version)

    def _go_on(self, version: str, then: Opened) -> None:
        snapshot = ""
        if then.version:
            snapshot = self._free_name(major(version))
            log.info("a snapshot before Docker %s first opens the data: %s", version, snapshot)
            self._snapshots.create_before_boot(snapshot)
        self._write(Opened(version, then.answered, snapshot))

    def _go_back(self, version: str, then: Opened) -> Opened:
        """Restore the data to the moment before `then.version`; returns what it had opened by then.
        No version above the wanted one may ever have answered: its user has data from it."""
        is_kept = then.snapshot in {one.name for one in self._snapshots.kept}
        if major(then.answered) > major(version) or not is_kept:
            raise _older(version, then)
        log.warning("Docker %s never answered: restoring %s", then.version, then.snapshot)
        self._snapshots.restore_before_boot(then.snapshot)
        now = self._read()
        if major(now.version) >= major(then.version):  # a snapshot of that name, but another one
            raise _older(version, now)
        return now

    def _free_name(self, number: int) -> str:
        base = f"before-docker-{number}"
        taken = {one.name for one in self._snapshots.kept}
        names = [base, *(f"{base}-{count}" for count in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)

    def _read(self) -> Opened:
        """Empty for data of an unknown version, and without data."""
        directory = self._directory
        if not directory.data_disk.exists() or directory.data_is_new.exists():
            return Opened()
        try:
            return msgspec.json.decode(directory.engine.read_bytes(), type=Opened)
        except (OSError, msgspec.MsgspecError):
            return Opened()

    def _write(self, opened: Opened) -> None:
        write_atomic(self._directory.engine, msgspec.json.encode(opened))


def _older(version: str, then: Opened) -> EngineFailed:
    return EngineFailed(
        ENGINE_OLDER,
        version=version,
        newer=then.version,
        snapshot=then.snapshot or "NAME",
        retry=Retry.NO,
    )


def major(version: str) -> int:
    """The first number of an upstream version, `28.5.1+dfsg2`; 0 where there is none."""
    first = version.split(".")[0]
    return int(first) if first.isascii() and first.isdigit() else 0
