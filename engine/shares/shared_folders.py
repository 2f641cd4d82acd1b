"""The folders that are shared with the machine: chosen at a start, checked at binds, problems.

Next: `engine/settings/share_paths.py`, `binds.py`, `vm/backends/qemu/shares/folders.py`.
"""

import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import PurePath, PurePosixPath

from engine.messages.guest import (
    SHARED_FOLDER_IMPOSSIBLE,
    SHARED_FOLDER_NOT_MOUNTED,
    SHARED_FOLDER_NOT_YET,
    SHARED_FOLDER_SERVER_ENDED,
)
from engine.ports.published_spec import Container
from engine.settings import share_paths
from engine.settings.store import SettingsStore
from engine.shares import binds
from engine.shares.binds import Sharing
from engine.shares.inode_pressure import InodePressure
from engine.shares.sftp_shares import ServedFolders
from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import MachineError, Problem
from vm.host import private_folders
from vm.host.paths import Home
from vm.lifecycle.machine import Machine
from vm.types import MachineState, Share

FAILED = "share "  # on the guest's console, before the share's tag


class SharedFolders:
    """`problems`: why a folder of the settings is not shared; `changed` is called when that changes
    while the machine runs. Any thread."""

    def __init__(
        self, home: Home, settings: SettingsStore, backend: Backend, changed: Callable[[], None]
    ) -> None:
        self._home = home
        self._settings = settings
        self._backend = backend
        self._directory = MachineDir.of(home)
        self._docker_socket = str(home.docker_socket)
        self._mounted: dict[Share, tuple[int, int]] = {}
        self._lacking: Problem | None = None
        self._lost: dict[int, Problem] = {}  # by the number of the share
        self._changed = changed
        self._served = ServedFolders()
        self._inode_pressure = InodePressure(self._directory, backend)
        self._others: tuple[Problem, ...] = ()
        self.bound: frozenset[str] = frozenset()  # paths of this host that running containers bind

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self._others, *self._lost.values())

    def wanted(self) -> tuple[Share, ...]:
        """The folders that the next start shares."""
        settings = self._settings.current()
        names, read_only = settings.shares, settings.read_only_shares
        found, problems = share_paths.wanted(names, read_only, private_folders.of(self._home))
        self._lacking = self._obstacle() if found else None
        self._others = (self._lacking,) if self._lacking else problems
        return () if self._lacking else found

    def begin(self, machine: Machine) -> None:
        """Serve the folders over SFTP where the machine needs that, and watch for lost ones."""
        seen = self._backend.observe(self._directory)
        if seen.share_by == "sftp" and seen.spec is not None:
            private = private_folders.of(self._home)
            spec = seen.spec
            self._served.begin(machine.guest.dial, spec.shares, private, spec.id_offset)
        self._inode_pressure.begin(machine, partial(self._lose, machine))

    def end(self) -> None:
        """The machine has ended, or the supervisor ends."""
        self._served.end()
        self._inode_pressure.end()
        self._lost = {}

    def look(self, console: Sequence[str]) -> None:
        """Find out which folders are mounted: from the machine's spec and its console lines."""
        wanted = self.wanted()
        spec = self._backend.observe(self._directory).spec
        served = spec.shares if spec is not None else ()
        failures = _failures(console)
        there, broken = [], []
        for number, share in enumerate(served):
            if (reason := failures.get(f"share{number}")) is not None:
                broken.append(_not_mounted(share, reason))
            elif number not in self._lost:
                there.append(share)
        waiting = (_not_yet(share) for share in wanted if share not in served)
        writable = any(not share.read_only for share in there)
        explains = self._backend.explains if writable else None
        lacking = explains.why_only_root_writes(self._by()) if explains is not None else None
        self._others = (*self._others, *broken, *waiting, *([lacking] if lacking else []))
        # The innermost first: it is the one that a path in it belongs to.
        self._mounted = {share: _identity(share) for share in reversed(there)}

    def _lose(self, machine: Machine, number: int) -> None:
        """A share is lost for good: file operations there block for ever, so containers that bind
        it are refused from now on."""
        spec = self._backend.observe(self._directory).spec
        if spec is None or machine.status.state is MachineState.STOPPING:
            return  # virtiofsd ends with the machine
        self._lost = {**self._lost, number: _not_served(spec.shares[number])}
        self.look(machine.story.console.lines())
        self._changed()

    def must_share(self, there: Iterable[str], made: Collection[str] = ()) -> None:
        """Raises NotShared for a bind source that was shared when the container was created, and is
        not now. `there`: paths in the guest; its own folders pass. `made`: those that dockerd
        creates where they are missing."""
        sharing = self.sharing()
        for source in there:
            if not share_paths.is_guests(source):
                binds.resolve(source, sharing, make=source in made)

    def sharing(self) -> Sharing:
        """What is shared now. Not a folder that was deleted, nor another one of its name."""
        settings = self._settings.current()
        names, read_only = settings.shares, settings.read_only_shares
        mounted = self._mounted.items()
        return Sharing(
            self._docker_socket,
            tuple(share for share, identity in mounted if identity == _identity(share)),
            names,
            tuple(map(share_paths.folder, (*names, *read_only))),
            self._lacking,
            private_folders.identities(private_folders.of(self._home)),
        )

    def _obstacle(self) -> Problem | None:
        """Why no folder can be shared."""
        shares = self._backend.shares_folders
        if shares is None:
            return MachineError(
                SHARED_FOLDER_IMPOSSIBLE,
            ).to_problem()
        return shares.probe(self._by())

    def _by(self) -> str:
        return self._settings.current().share_by

    def follow(self, containers: Iterable[Container]) -> frozenset[str]:
        """The bind sources of the running `containers`, as paths of this host."""
        sources = {
            mount.Source
            for container in containers
            for mount in container.Mounts or ()
            if mount.Type == "bind"
        }
        self.bound = frozenset(filter(None, map(self._here, sources)))
        return self.bound

    def _here(self, there: str) -> str | None:
        """The path of this host, None outside of all shares. Root in the guest can name anything,
        so neither ".." nor a link of this host may lead out of a share."""
        plain = PurePosixPath(posixpath.normpath(there))
        for share in self._mounted:
            if plain.is_relative_to(share.guest_path) and "\0" not in there:
                inside = plain.relative_to(share.guest_path)
                here = os.path.realpath(PurePath(share.host_path, inside))
                is_inside = PurePath(here).is_relative_to(os.path.realpath(share.host_path))
                return here if is_inside else None
        return None


def _identity(share: Share) -> tuple[int, int]:
    """Device and inode of the folder itself; zeros where it is missing."""
    try:
        seen = os.stat(share.host_path)
    except OSError:
        return 0, 0
    return seen.st_dev, seen.st_ino


def _failures(console: Sequence[str]) -> dict[str, str]:
    """The reasons in lines "share share0 failed: reason", by tag."""
    found = (line.removeprefix(FAILED).split(" failed: ", 1) for line in console)
    return {words[0]: words[1] for words in found if len(words) == 2}


def _not_mounted(share: Share, reason: str) -> Problem:
    return MachineError(
        SHARED_FOLDER_NOT_MOUNTED,
        folder=share.host_path,
        details=reason,
    ).to_problem()


def _not_served(share: Share) -> Problem:
    return MachineError(
        SHARED_FOLDER_SERVER_ENDED,
        folder=share.host_path,
    ).to_problem()


def _not_yet(share: Share) -> Problem:
    return MachineError(
        SHARED_FOLDER_NOT_YET,
        folder=share.host_path,
    ).to_problem()
