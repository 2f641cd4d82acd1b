"""Configures the machine and the docker CLI: at a start, and when the user changes something.

What a machine is configured with is `engine/provisioning/provisioning.py`'s. Next: `starting.py`;
`start_steps.py`, one of whose steps configures a machine that has booted; `docker_cli.py`.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from engine.lifecycle.docker_cli import DockerCliSetup
from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.saver_rules import rules_of
from engine.messages.engine import ENGINE_BUSY
from engine.monitors.machine_monitors import MachineMonitors
from engine.provisioning import daemon_json
from engine.provisioning.provisioning import Configuration
from engine.settings.store import SettingsStore
from vm.errors import MachineBusy
from vm.host.paths import Home
from vm.lifecycle.machine import Machine
from vm.types import MachineState


class ConfigureSequence:
    """`publish` sends the engine's status. Methods block until done and raise GalleyError."""

    def __init__(
        self,
        *,
        home: Home,
        settings: SettingsStore,
        machine: Machine,
        saver: ResourceSaver,
        monitors: MachineMonitors,
        configuration: Configuration,
        docker_cli: DockerCliSetup,
        publish: Callable[[], None],
    ) -> None:
        self._home = home
        self._settings = settings
        self._machine = machine
        self._saver = saver
        self._monitors = monitors
        self._configuration = configuration
        self._docker_cli = docker_cli
        self._publish = publish

    def open(self) -> None:
        """Read the configuration of a machine that runs already, and follow the settings."""
        self._settings.subscribe(lambda _: self.apply_settings())
        self._configuration.look(self._machine.story.console.lines())

    def write_boot_files(self, image: Path) -> None:
        """Write the configuration for the machine that is about to boot with `image`."""
        self._configuration.write_boot_files(self._machine.directory.boot_files, image)

    def configure_booted(self) -> None:
        """`configure` for a machine whose console has not been read yet."""
        self._configuration.look(self._machine.story.console.lines())
        self.configure()

    def configure(self) -> None:
        """Send a running machine what has changed of its configuration, if anything."""
        spec = self._machine.backend.observe(self._machine.directory).spec
        if spec is None:
            return
        before = self._configuration.problems
        image, lines = Path(spec.image) if spec.image else None, self._machine.story.console.lines
        self._configuration.update_guest(self._machine.guest, image, lines)
        if self._configuration.problems != before:
            self._publish()

    def configure_docker_cli(self) -> None:
        """Give docker its context, and its logins a place. Never raises."""
        self._docker_cli.make_context()
        self._publish()
        self._docker_cli.keep_logins()

    def apply_saver_rules(self) -> None:
        """The settings that say when the machine is paused and suspended."""
        self._saver.set_rules(rules_of(self._settings, self._machine.backend))

    def apply_settings(self) -> None:
        """Apply changed settings, as far as that needs no restart."""
        self.apply_saver_rules()
        if self._machine.status.state.is_up:
            self._docker_cli.keep_logins()
            with contextlib.ExitStack() as held:
                held.callback(self._saver.keep_awake())
                self.configure()
                self._monitors.grow_disk(self._settings.load().disk)
        self._publish()

    def daemon_config(self) -> str:
        """The user's part of dockerd's configuration."""
        return daemon_json.read(self._home)

    def change_daemon_config(self, text: str) -> None:
        """Restart dockerd with `text`. Without a machine that runs it is kept for the next
        start."""
        self._saver.awake()
        state = self._machine.status.state
        if state in (MachineState.STARTING, MachineState.STOPPING):
            raise MachineBusy(ENGINE_BUSY, state=state)
        guest = self._machine.guest if state is MachineState.RUNNING else None
        self._configuration.change(text, guest)
        self._publish()
