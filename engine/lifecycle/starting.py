"""The sequence that starts the engine: guest image, boot, docker's context and logins.

A new image with which dockerd does not answer is rejected: the machine boots the one before it, if
that works. Counterpart of `stopping.py`. The boot steps once the machine can be reached are
`start_steps.py`'s. Next: `engine/images/guest_images.py`, `configuring.py`, `docker_cli.py`.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from engine.guest.channels import Channel
from engine.lifecycle.configuring import ConfigureSequence
from engine.lifecycle.data_guard import DataGuard
from engine.lifecycle.image_updates import ImageUpdates
from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.snapshots import Snapshots
from engine.messages.engine import STEP_ANSWER
from engine.settings.store import SettingsStore, machine_spec
from engine.shares.shared_folders import SharedFolders
from vm import image, last_spec
from vm.errors import (
    BootFailed,
    DiskFull,
    EngineFailed,
    GalleyError,
    GuestUnreachable,
    HomeUnusable,
    ImageDamaged,
    SnapshotRefused,
)
from vm.lifecycle.boot_steps import Prepare
from vm.lifecycle.machine import Machine
from vm.lifecycle.steps import Patience
from vm.messages import Text
from vm.types import MachineSpec

log = logging.getLogger(__name__)

FAILED = (BootFailed, EngineFailed, GuestUnreachable)  # may be the image's fault


class StartSequence:
    """Methods block until done and raise GalleyError."""

    def __init__(
        self,
        *,
        image_updates: ImageUpdates,
        settings: SettingsStore,
        machine: Machine,
        saver: ResourceSaver,
        folders: SharedFolders,
        configuring: ConfigureSequence,
        snapshots: Snapshots,
    ) -> None:
        self._image_updates = image_updates
        self._images = image_updates.images
        self._settings = settings
        self._machine = machine
        self._saver = saver
        self._folders = folders
        self._configuring = configuring
        self._guard = DataGuard(machine.directory, snapshots)
        self._snapshots = snapshots
        self._image: Path | None = None  # of the last start by this process

    def start(self, *, repair: bool = False) -> None:
        """Boot or resume the machine, and wait until dockerd answers on the host's socket."""
        has_run = self._machine.status.state.is_up
        self._boot(partial(self._machine.start, repair=repair), not repair)
        self._started()
        if has_run:  # else a boot step has done it
            self._configuring.configure()

    def restart(self) -> None:
        self._boot(self._machine.restart, False)
        self._started()

    def answered(self) -> None:
        """dockerd answers, in a machine that was started, resumed or adopted."""
        used = self._running_image()
        if used is not None:
            # Another version of Galley has made the image, or this computer's disk is full: then
            # containers start all the same, and the next start records it.
            with contextlib.suppress(ImageDamaged, HomeUnusable, DiskFull):
                self._guard.answered(image.read_manifest(used).engine_version)
                self._images.prove(used, self._images_of_snapshots())

    def _boot(self, boot: Callable[[Prepare], None], may_resume: bool) -> None:
        try:
            boot(partial(self._prepare, iter([may_resume]), None))
        except FAILED as error:
            older = None if self._has_answered() else self._image_before()
            if older is None:
                raise
            self._go_back(older, error)

    def _go_back(self, older: Path, error: GalleyError) -> None:
        """Boot the image before the one that failed. Raises `error` where that does not work
        either: then it is not the image's fault."""
        failed = self._image
        assert failed is not None
        log.warning("going back from %s to %s: %s", failed.name, older.name, error)
        try:
            self._machine.stop(at_once=True)
            self._machine.start(partial(self._prepare, iter(()), older))
        except FAILED as other:
            log.warning("the image before it does not start either: %s", other)
            raise error from other
        self._images.reject(failed, error.to_problem())

    def _prepare(
        self,
        resumes: Iterator[bool],
        chosen: Path | None,
        wait: Patience,
        note: Callable[[Text], None],
    ) -> MachineSpec:
        """The first boot step: a verified guest image, built if need be, and the spec with it.

        `resumes`: whether the next call may be for a resume. A start calls this again for the cold
        start that follows a resume in vain; that one takes the newest image.
        """

        def report(text: Text) -> None:
            wait.wait(0.0)
            note(text)

        folders = self._folders.wanted()
        if self._machine.backend.features.image_format == "none":
            return machine_spec(self._settings, "", folders)
        wanted = self._image_updates.channels
        if chosen is None and next(resumes, False):
            chosen = self._suspended_image(wanted[0])
        if chosen is None:
            chosen = self._newest_image(wanted, report)
        else:
            self._guard.before_boot(image.read_manifest(chosen).engine_version)
        self._image = chosen
        self._configuring.write_boot_files(chosen)
        return machine_spec(self._settings, str(chosen), folders)

    def _newest_image(self, wanted: tuple[Channel, ...], report: Callable[[Text], None]) -> Path:
        """The newest image of the first channel that has one, else one that is downloaded or built:
        one whose dockerd may open the data. Where there is no room for the snapshot
        before a newer major version, the newest one of the version that the data has."""
        here = (self._images.newest(each, report) for each in wanted)
        found = next((path for path in here if path), None) or self._image_updates.get(report)
        manifest = image.read_manifest(found)
        try:
            self._guard.before_boot(manifest.engine_version)
        except (DiskFull, SnapshotRefused) as error:
            older = self._images.of_engine(Channel(manifest.channel), self._guard.fits)
            if older is None:
                raise
            self._images.postpone(found, error)
            return older
        self._images.admit()
        return found

    def _suspended_image(self, channel: Channel) -> Path | None:
        """The image of a suspended machine. Only here, in the machine's thread, is it known whether
        the machine is suspended: until now it may have been running."""
        suspends, directory = self._machine.backend.suspends, self._machine.directory
        spec = last_spec.read(directory)
        if spec is None or suspends is None or not suspends.is_suspended(directory):
            return None
        return self._images.to_resume(channel, spec.image)

    def _image_before(self) -> Path | None:
        """The image to go back to, if the last start was with a new one."""
        if self._image is None:
            return None
        return self._images.before(Channel(image.read_manifest(self._image).channel), self._image)

    def _running_image(self) -> Path | None:
        spec = self._machine.backend.observe(self._machine.directory).spec
        return Path(spec.image) if spec is not None and spec.image else None

    def _has_answered(self) -> bool:
        boot = self._machine.status.boot
        return any(step.code == STEP_ANSWER.code and step.seconds is not None for step in boot)

    def _images_of_snapshots(self) -> frozenset[str]:
        """A snapshot with memory resumes only with the image that it was made with."""
        return frozenset(one.image for one in self._snapshots.kept if one.memory_bytes)

    def _started(self) -> None:
        self._saver.clear_suspend()
        self._configuring.configure_docker_cli()
