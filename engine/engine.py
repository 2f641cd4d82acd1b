"""The only composer: a machine, a bridge to its dockerd, published ports, a docker context.

`Engine` makes the parts and gives each the parts that it needs; its verbs are what a user can ask
for. The supervisor owns one and lends it to the control socket. Next: `vm/lifecycle/machine.py`,
`engine/bridge/bridge.py`, and in `engine/lifecycle/`: `starting.py`, `stopping.py`, `reactions.py`
(what follows from a change), `resource_saver.py`, `status.py`.
"""

import contextlib
from collections.abc import Callable

from engine.admission.admission import Admission
from engine.bridge.bridge import Bridge
from engine.bridge.unix import UnixListener
from engine.file_events.events import FileEvents
from engine.lifecycle.configuring import ConfigureSequence
from engine.lifecycle.container_cpu import ContainerCpu
from engine.lifecycle.docker_cli import DockerCliSetup
from engine.lifecycle.dockerd_access import DockerdAccess
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.lifecycle.image_updates import ImageUpdates
from engine.lifecycle.reactions import Reactions
from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.snapshots import Snapshots
from engine.lifecycle.start_steps import EngineSteps, warm_up_dockerd
from engine.lifecycle.starting import StartSequence
from engine.lifecycle.status import EngineStatusPublisher, StatusSources
from engine.lifecycle.stopping import StopSequence
from engine.lifecycle.swarm_mode import SwarmMode
from engine.monitors.machine_monitors import MachineMonitors
from engine.monitors.resources import Resources
from engine.ports.guest_rules import GuestRules
from engine.ports.port_sync import PortSync
from engine.provisioning.container_dns import LocalNames
from engine.provisioning.provisioning import Configuration
from engine.settings.store import SettingsStore
from engine.shares.shared_folders import SharedFolders
from engine.types import EngineStatus
from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.host.paths import Home
from vm.lifecycle.machine import Machine
from vm.types import MachineState


class Engine:
    """Methods that change something block until it is done and raise GalleyError."""

    def __init__(self, home: Home, settings: SettingsStore, backend: Backend) -> None:
        self._home = home
        self._settings = settings
        self._status = EngineStatusPublisher(home, settings)
        publish = self._status.publish
        self._machine = Machine(MachineDir.of(home), backend)
        self._saver = ResourceSaver(self._machine, self._machine.directory.auto_suspended, self)
        self._monitors = MachineMonitors(self._machine, publish)
        self._dockerd = DockerdAccess(self._machine, self._saver, self._monitors)
        self._folders = SharedFolders(home, settings, backend, publish)
        self._configuration = Configuration(home, settings, backend)
        self._docker_cli = DockerCliSetup(home, settings)
        self.image_updates = ImageUpdates(home, settings, publish)
        self.configuring = ConfigureSequence(
            home=home,
            settings=settings,
            machine=self._machine,
            saver=self._saver,
            monitors=self._monitors,
            configuration=self._configuration,
            docker_cli=self._docker_cli,
            publish=publish,
        )
        guest_rules = GuestRules()
        self._stop_sequence = StopSequence(
            machine=self._machine,
            settings=settings,
            dial=self._dockerd.dial_as_it_is,
            guest_rules=guest_rules,
            monitors=self._monitors,
            folders=self._folders,
            image_updates=self.image_updates,
        )
        self.snapshots = Snapshots(self._machine, self._stop_sequence, self._saver, publish)
        self._start_sequence = StartSequence(
            image_updates=self.image_updates,
            settings=settings,
            machine=self._machine,
            saver=self._saver,
            folders=self._folders,
            configuring=self.configuring,
            snapshots=self.snapshots,
        )
        self.resources = Resources(self._machine, self._saver.keep_awake)
        self._file_events = FileEvents(self._machine.dial, home.root, publish)
        self._names = LocalNames(settings, self._machine)
        self._watch = EngineWatch(self._dockerd.dial)
        self._ports = PortSync(
            machine=self._machine,
            saver=self._saver,
            settings=settings,
            guest_rules=guest_rules,
            dial=self._dockerd.dial,
            look=self._watch.look,
            must_share=self._folders.must_share,
            on_change=publish,
        )
        self._bridge = self._make_bridge()
        self._reactions = self._make_reactions()
        self._status.open(self._status_sources())

    def _make_bridge(self) -> Bridge:
        swarm_mode = SwarmMode(self._configuration, self._saver.awake, self._machine)
        admission = Admission(self._folders, self._configuration, self._ports.starts, swarm_mode)
        listener = UnixListener(self._home.docker_socket)
        return Bridge(listener, self._dockerd, admission, self._saver)

    def _make_reactions(self) -> Reactions:
        return Reactions(
            saver=self._saver,
            watch=self._watch,
            monitors=self._monitors,
            folders=self._folders,
            file_events=self._file_events,
            names=self._names,
            ports=self._ports,
            publish=self._status.publish,
        )

    def _status_sources(self) -> StatusSources:
        return StatusSources(
            machine=self._machine,
            watch=self._watch,
            ports=self._ports,
            snapshots=self.snapshots,
            saver=self._saver,
            image_updates=self.image_updates,
            problems=(
                self._docker_cli,
                self._ports,
                self._stop_sequence,
                self._configuration,
                self._folders,
                self._file_events,
                self._monitors,
                self.image_updates,
            ),
        )

    def status(self) -> EngineStatus:
        return self._status.status()

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """`listener` gets the status after every change, from any thread; it must not block."""
        return self._status.subscribe(listener)

    def open(self) -> None:
        """Bind the docker socket (it stays bound from here on) and adopt a running machine."""
        self._bridge.open()
        self.configuring.open()
        self.snapshots.open(self._start_sequence.start)
        self.image_updates.open()
        steps = EngineSteps(
            home=self._home,
            machine=self._machine,
            folders=self._folders,
            watch=self._watch,
            reactions=self._reactions,
            configuring=self.configuring,
            stop_sequence=self._stop_sequence,
            answered=self._start_sequence.answered,
        )
        self._machine.open(self._reactions.machine_changed, steps.make, warm_up_dockerd)
        self.configuring.apply_saver_rules()
        cpu = ContainerCpu(self._dockerd.dial_as_it_is)
        self._saver.open(cpu=cpu, suspender=self._stop_sequence, traffic=self._ports)

    def close(self) -> None:
        """Release sockets and threads; the machine and its containers run on."""
        self._saver.close()
        self._watch.end()
        self._folders.end()
        self.snapshots.cancel()
        parts = (self.image_updates, self._monitors, self._ports, self._file_events)
        for part in (*parts, self._configuration, self._machine, self._bridge):
            part.close()

    # --- the verbs --------------------------------------------------------------------------

    def start(self, *, repair: bool = False) -> None:
        """Boot the machine and wait until dockerd answers on the host's socket. One that is paused
        is woken."""
        self._start_sequence.start(repair=repair)

    def stop(self, *, cold: bool = False) -> None:
        """Stop containers, then the machine: suspend it, so that the next start resumes an idle
        engine, or power it off if that fails, or if `cold`."""
        with self._saver.stopping():
            if not cold:
                self._stop_sequence.stop()
                return
            if self._machine.status.resumable:
                self.start()  # only a running machine can be shut down
            self._stop_sequence.power_off()

    def suspend(self) -> None:
        """Suspend the machine with its running containers: the next start resumes them."""
        with self._saver.stopping():
            self._stop_sequence.suspend()

    def restart(self) -> None:
        self._start_sequence.restart()

    def delete(self) -> None:
        """Stop, and remove the machine with every image, container and volume in it."""
        with self._saver.stopping():
            self._machine.delete()
        self._stop_sequence.forget()
        self.snapshots.delete_all()
        self._docker_cli.remove()
        self._status.publish()

    def cancel(self) -> None:
        """End a start that is under way, or the making or restoring of a snapshot."""
        self.snapshots.cancel()
        if self.snapshots.work is None and self._machine.status.state is MachineState.STARTING:
            self._saver.clear_suspend()
            self._machine.cancel()

    def keep_awake(self) -> Callable[[], None]:
        """Resume the machine, and keep it awake until the returned function is called."""
        return self._saver.keep_awake()

    def reset(self) -> None:
        """Return to the state before the first start: no machine, no settings. Guest images
        stay."""
        self.delete()
        self._settings.clear()
        self._configuration.forget()
        self._status.publish()

    # --- what the resource saver calls (`SavedEngine`) ----------------------------------------

    def on_resumed(self) -> None:
        """The paused machine runs again, and its clock stood still meanwhile."""
        with contextlib.suppress(GalleyError):  # it is retried
            self._monitors.set_clock()

    def on_auto_suspend_ended(self) -> None:
        """The machine is not suspended, or its next use does not resume it."""
        self._reactions.machine_changed(self._machine.status)
