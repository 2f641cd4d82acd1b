"""The sequence that starts the engine: guest image, boot, docker's context and logins.

Counterpart of `stopping.py`. The boot steps once the machine can be reached are `start_steps.py`'s.
Next: `engine/guest/current_image.py`, `configuring.py`, `docker_cli.py`.
"""

from collections.abc import Callable

from engine.guest.current_image import current_image
from engine.lifecycle.configuring import ConfigureSequence
from engine.lifecycle.resource_saver import ResourceSaver
from engine.settings.store import SettingsStore, machine_spec
from engine.shares.shared_folders import SharedFolders
from vm.host.paths import Home
from vm.lifecycle.machine import Machine
from vm.lifecycle.steps import Patience
from vm.messages import Text
from vm.types import MachineSpec


class StartSequence:
    """Methods block until done and raise GalleyError."""

    def __init__(
        self,
        *,
        home: Home,
        settings: SettingsStore,
        machine: Machine,
        saver: ResourceSaver,
        folders: SharedFolders,
        configuring: ConfigureSequence,
    ) -> None:
        self._home = home
        self._settings = settings
        self._machine = machine
        self._saver = saver
        self._folders = folders
        self._configuring = configuring

    def start(self, *, repair: bool = False) -> None:
        """Boot or resume the machine, and wait until dockerd answers on the host's socket."""
        has_run = self._machine.status.state.is_up
        self._machine.start(self._prepare, repair=repair)
        self._started()
        if has_run:  # else a boot step has done it
            self._configuring.configure()

    def restart(self) -> None:
        self._machine.restart(self._prepare)
        self._started()

    def _prepare(self, wait: Patience, note: Callable[[Text], None]) -> MachineSpec:
        """The first boot step: a verified guest image, built if need be, and the spec with it."""

        def report(text: Text) -> None:
            wait.wait(0.0)
            note(text)

        settings, folders = self._settings.load(), self._folders.wanted()
        if self._machine.backend.features.image_format == "none":
            return machine_spec(self._settings, "", folders)
        image = current_image(self._home, settings.channel, report)
        self._configuring.write_boot_files(image)
        return machine_spec(self._settings, str(image), folders)

    def _started(self) -> None:
        self._saver.clear_suspend()
        self._configuring.configure_docker_cli()
