"""What is shared with the machine that runs: for a start, for the bridge, for the problems shown.

Next: `engine/settings/share_paths.py`, `binds.py`, `vm/backends/qemu/shares/folders.py`.
"""

import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import PurePath, PurePosixPath

from engine.ports.published_spec import Container
from engine.settings import share_paths
from engine.settings.store import SettingsStore
from engine.shares import binds
from engine.shares.binds import Sharing
from engine.shares.inode_pressure import RememberedFiles
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
    """`problems`: why a folder that is wanted is not shared; `changed`, when that is another
    without our having been asked. Any thread."""

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
        self._lost: dict[int, Problem] = {}  # by the place among what the machine has
        self._changed = changed
        self._served = ServedFolders()
        self._remembered = RememberedFiles(self._directory, backend)
        self._others: tuple[Problem, ...] = ()
        self.bound: frozenset[str] = frozenset()  # what running containers have of this host

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self._others, *self._lost.values())

    def wanted(self) -> tuple[Share, ...]:
        """What the next start is to share."""
        settings = self._settings.current()
        names, read_only = settings.shares, settings.read_only_shares
        found, problems = share_paths.wanted(names, read_only, private_folders.of(self._home))
        self._lacking = self._obstacle() if found else None
        self._others = (self._lacking,) if self._lacking else problems
        return () if self._lacking else found

    def begin(self, machine: Machine) -> None:
        """Serve what the machine asks us for, where it does."""
        seen = self._backend.observe(self._directory)
        if seen.share_by == "sftp" and seen.spec is not None:
            private = private_folders.of(self._home)
            self._served.begin(machine.guest.dial, seen.spec.shares, private)
        self._remembered.begin(machine, partial(self._lose, machine))

    def end(self) -> None:
        """The machine is gone, or we are going."""
        self._served.end()
        self._remembered.end()
        self._lost = {}

    def look(self, console: Sequence[str]) -> None:
        """See what the machine has of them, by what it was started with and what it said."""
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
        """Nobody can serve it again, and who waits for it in the guest waits for ever: no more of
        them are to come."""
        spec = self._backend.observe(self._directory).spec
        if spec is None or machine.status.state is MachineState.STOPPING:
            return  # it ends with the machine
        self._lost = {**self._lost, number: _not_served(spec.shares[number])}
        self.look(machine.story.console.lines())
        self._changed()

    def must_share(self, there: Iterable[str], made: Collection[str] = ()) -> None:
        """Raises NotShared for a folder that a container has had, and that the machine has no
        longer. What the machine has of its own was never one of this host's. `made`: those that
        dockerd makes where they are missing."""
        sharing = self.sharing()
        for source in there:
            if not share_paths.is_guests(source):
                binds.resolve(source, sharing, make=source in made)

    def sharing(self) -> Sharing:
        """What is shared now. A folder that was deleted is not, nor is one that was made in its
        place."""
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
                "Folders of this computer cannot be shared with the machine.",
                "Copy what containers need into volumes.",
            ).to_problem()
        return shares.probe(self._by())

    def _by(self) -> str:
        return self._settings.current().share_by

    def follow(self, containers: Iterable[Container]) -> frozenset[str]:
        """These run now; what they have of this host, as paths of this host."""
        sources = {
            mount.Source
            for container in containers
            for mount in container.Mounts or ()
            if mount.Type == "bind"
        }
        self.bound = frozenset(filter(None, map(self._here, sources)))
        return self.bound

    def _here(self, there: str) -> str | None:
        """Root in the guest can name anything: ".." and links of this host lead out of no share."""
        plain = PurePosixPath(posixpath.normpath(there))
        for share in self._mounted:
            if plain.is_relative_to(share.guest_path) and "\0" not in there:
                inside = plain.relative_to(share.guest_path)
                here = os.path.realpath(PurePath(share.host_path, inside))
                is_inside = PurePath(here).is_relative_to(os.path.realpath(share.host_path))
                return here if is_inside else None
        return None


def _identity(share: Share) -> tuple[int, int]:
    """Of the folder itself, whatever is called so; zeros where there is none."""
    try:
        seen = os.stat(share.host_path)
    except OSError:
        return 0, 0
    return seen.st_dev, seen.st_ino


def _failures(console: Sequence[str]) -> dict[str, str]:
    """Of "share share0 failed: reason" the reason, by tag."""
    found = (line.removeprefix(FAILED).split(" failed: ", 1) for line in console)
    return {words[0]: words[1] for words in found if len(words) == 2}


def _not_mounted(share: Share, reason: str) -> Problem:
    return MachineError(
        f"The folder {share.host_path} is not shared: the machine could not mount it.",
        "Try again: galley restart",
        details=reason,
    ).to_problem()


def _not_served(share: Share) -> Problem:
    return MachineError(
        f"The folder {share.host_path} is no longer shared: the program that served it, virtiofsd, "
        "has ended.",
        "Containers that use it wait. Restart the engine: galley restart. If it ends again, "
        "`galley logs --component vm` may say why.",
    ).to_problem()


def _not_yet(share: Share) -> Problem:
    return MachineError(
        f"The folder {share.host_path} is not shared yet.",
        "Restart the engine: galley restart. If that does not help, `galley logs --component vm` "
        "says why.",
    ).to_problem()
