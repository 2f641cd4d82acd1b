"""The only composer: a machine, a bridge to its dockerd, published ports, a docker context.

`Engine` turns what the user wants (start, stop, …) into what its parts do, and what they report
into an `EngineStatus` for every change. The supervisor owns one and lends it to the control socket.
Next: `vm/lifecycle/machine.py`, `bridge/bridge.py`, `engine/lifecycle/dockerd_watch.py`,
`engine/lifecycle/resource_saver.py`, `engine/shares/shared_folders.py`, `file_events/events.py`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from engine import __version__
from engine.admission.admission import Admission
from engine.bridge.bridge import Bridge
from engine.bridge.unix import UnixListener
from engine.credentials import logins
from engine.dockercli import context
from engine.file_events.events import FileEvents
from engine.guest.current_image import current_image
from engine.lifecycle.container_cpu import ContainerCpu
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.saver_rules import rules_of
from engine.lifecycle.snapshots import Snapshots
from engine.lifecycle.start_steps import DOCKER_SOCKET, SERVED, EngineSteps, warm_up_dockerd
from engine.lifecycle.stopping import StopSequence
from engine.lifecycle.swarm_mode import SwarmMode
from engine.monitors.guest_clock import GuestClock
from engine.monitors.guest_disk_space import GuestDiskSpace
from engine.monitors.host_disk_space import HostDiskSpace
from engine.monitors.resources import Resources
from engine.ports.guest_rules import GuestRules
from engine.ports.port_sync import PortSync
from engine.ports.published_spec import Container
from engine.provisioning import daemon_json, docker_config_proxies
from engine.provisioning.container_dns import LocalNames
from engine.provisioning.provisioning import Configuration
from engine.provisioning.proxies import Proxies
from engine.settings.store import SettingsStore, machine_spec
from engine.shares.shared_folders import SharedFolders
from engine.types import EngineHealth, EngineStatus
from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import EngineUnreachable, GalleyError, MachineBusy, Problem
from vm.guest.protocol import Stream
from vm.host.paths import Home
from vm.lifecycle.machine import Machine
from vm.lifecycle.steps import Patience
from vm.types import MachineSpec, MachineState, Status

log = logging.getLogger(__name__)

EVENTS_SOCKET = "/run/galley/events.sock"  # in the guest


class Engine:
    """Methods that change something block until it is done and raise GalleyError."""

    def __init__(self, home: Home, settings: SettingsStore, backend: Backend) -> None:
        self._home = home
        self._settings = settings
        self._health = EngineHealth(False)
        directory = MachineDir.of(home)
        self._machine = Machine(
            *(directory, backend, self._machine_changed, lambda machine: self._steps.of(machine)),
            in_reach=warm_up_dockerd,
        )
        guest_rules = GuestRules()
        self._stop_sequence = StopSequence(
            machine=self._machine,
            settings=settings,
            kept=directory.to_start,
            dial=self._dial_as_it_is,
            guest_rules=guest_rules,
            stalled=lambda: self._host_room.problems,
            used=lambda: self._folders.bound,
        )
        self._saver = ResourceSaver(self._machine, directory.auto_suspended, self)
        self.snapshots = Snapshots(
            self._machine, self._stop_sequence, self._saver, self.start, self._publish
        )
        self._folders = SharedFolders(home, settings, backend, self._publish)
        self._configuration = Configuration(home, settings, backend)
        self._watch = EngineWatch(self._dial, self._healthy, self._containers_changed)
        self._clock = GuestClock(self._dial_guest)
        self._disk_room = GuestDiskSpace(self._dial_guest, self._publish)
        self._host_room: HostDiskSpace = HostDiskSpace(directory, backend, self._publish)
        self.resources = Resources(directory, backend, self._dial_guest, self._saver.keep_awake)
        dial_events = partial(self._dial_guest, EVENTS_SOCKET)
        self._file_events = FileEvents(dial_events, home.root, self._publish)
        self._names = LocalNames(settings, lambda: self._machine.guest)
        self._ports: PortSync = PortSync(
            machine=self._machine,
            saver=self._saver,
            settings=settings,
            guest_rules=guest_rules,
            dial=self._dial,
            look=self._watch.look,
            must_share=self._folders.must_share,
            on_change=self._publish,
        )
        swarm = SwarmMode(self._configuration, self._saver.awake, lambda: self._machine.guest)
        variables = self._configuration.proxy_variables
        admission = Admission(self._folders.sharing, variables, self._ports.starts, swarm.about_to)
        listener = UnixListener(home.docker_socket)
        self._bridge = Bridge(listener, self._dial, self._down, admission, self._saver)
        self._steps: EngineSteps = EngineSteps(
            *(home, self._folders, self._watch, self._configure_new),
            *(lambda: self._health.reachable, self._stop_sequence.start_again),
        )
        self._context_problem: Problem | None = None
        self._listeners: list[Callable[[EngineStatus], None]] = []
        self._turn = threading.Lock()
        settings.subscribe(lambda _: self._settings_changed())

    @property
    def console_log(self) -> Path:
        return self._machine.directory.console_log

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """`listener` gets the status after every change, from any thread; it must not block."""
        with self._turn:
            self._listeners = [*self._listeners, listener]

        def unsubscribe() -> None:
            with self._turn:
                self._listeners = [kept for kept in self._listeners if kept is not listener]

        return unsubscribe

    def open(self) -> None:
        """Bind the docker socket (it stays bound from here on) and adopt a running machine."""
        self._bridge.open()
        self._configuration.look(self._machine.story.console.lines())
        self.snapshots.open()
        self._machine.open()
        self._saver.set_rules(rules_of(self._settings, self._machine.backend))
        cpu = ContainerCpu(self._dial_as_it_is)
        self._saver.open(cpu=cpu, suspender=self._stop_sequence, traffic=self._ports)

    def close(self) -> None:
        """Release sockets and threads; the machine and its containers run on."""
        self._saver.close()
        self._watch.end()
        self._folders.end()
        self.snapshots.cancel()
        self._clock.follow(False)
        self._disk_room.follow(False)
        parts = (self._ports, self._file_events, self._host_room, self._configuration)
        for part in (*parts, self._machine, self._bridge):
            part.close()

    def status(self) -> EngineStatus:
        machine = self._machine.status
        problems = [machine.problem, machine.notice, self._context_problem]
        return EngineStatus(
            __version__,
            f"unix://{self._home.docker_socket}",
            msgspec.structs.replace(
                machine, disk_used_bytes=self._machine.directory.data_disk_bytes()
            ),
            self._health,
            self._ports.ports,
            (
                *(problem for problem in problems if problem),
                *self._ports.problems,
                *self._stop_sequence.problems,
                *self._configuration.problems,
                *self._folders.problems,
                *self._file_events.problems,
                *self._host_room.problems,
                *self._disk_room.problems,
                *self._settings.current().problems,
            ),
            self.snapshots.kept,
            self.snapshots.work,
            self._saver.is_saving,
            refusal.to_problem() if (refusal := self.snapshots.no_memory()) else None,
        )

    def start(self, *, repair: bool = False) -> None:
        """Boot the machine and wait until dockerd answers on the host's socket. One that is paused
        is woken."""
        has_run = self._machine.status.state.is_up
        self._machine.start(self._prepare, repair=repair)
        self._started()
        if has_run:  # else a boot step has done it
            self._configure()

    def stop(self, *, cold: bool = False) -> None:
        """Containers first, then the machine: suspended, so that the next start goes on from an
        idle engine, or powered off if that cannot be, or `cold`."""
        with self._saver.stopping():
            if not cold:
                self._stop_sequence.stop()
                return
            if self._machine.status.resumable:
                self.start()  # what is suspended can only be ended in order when it runs
            self._stop_sequence.power_off()

    def suspend(self) -> None:
        """As it is, with its containers: the next start goes on where they were."""
        with self._saver.stopping():
            self._stop_sequence.suspend()

    def restart(self) -> None:
        self._machine.restart(self._prepare)
        self._started()

    def delete(self) -> None:
        """Stop, and remove the machine with every image, container and volume in it."""
        with self._saver.stopping():
            self._machine.delete()
        self._stop_sequence.forget()
        self.snapshots.delete_all()
        context.remove(self._home)
        docker_config_proxies.follow(self._home, Proxies())
        logins.leave(self._home)
        self._publish()

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
        """As it was before the first start: no machine, no settings. Images of the guest stay."""
        self.delete()
        self._settings.clear()
        self._configuration.forget()
        self._publish()

    def daemon_config(self) -> str:
        """The user's part of dockerd's configuration."""
        return daemon_json.read(self._home)

    def set_daemon_config(self, text: str) -> None:
        """Restart dockerd with it. Without a machine that runs it is kept for the next start."""
        self._saver.awake()
        state = self._machine.status.state
        if state in (MachineState.STARTING, MachineState.STOPPING):
            raise MachineBusy(f"Galley's engine is {state}.", "Try again when it runs.")
        guest = self._machine.guest if state is MachineState.RUNNING else None
        self._configuration.change(text, guest)
        self._publish()

    # --- starting ---------------------------------------------------------------------------

    def _prepare(self, wait: Patience, note: Callable[[str], None]) -> MachineSpec:
        """The first boot step: a verified guest image, built if need be, and the spec with it."""

        def tell(sentence: str) -> None:
            wait.wait(0.0)
            note(sentence)

        settings, folders = self._settings.load(), self._folders.wanted()
        if self._machine.backend.features.image_format == "none":
            return machine_spec(self._settings, "", folders)
        image = current_image(self._home, settings.channel, tell)
        self._configuration.write_boot_files(self._machine.directory.boot_files, image)
        return machine_spec(self._settings, str(image), folders)

    def _configure_new(self) -> None:
        self._configuration.look(self._machine.story.console.lines())
        self._configure()

    def _started(self) -> None:
        self._saver.clear_suspend()
        self._make_context()
        self._keep_logins()

    def _configure(self) -> None:
        """Mostly all is as it should be. The machine may be new, though, or something changed."""
        spec = self._machine.backend.observe(self._machine.directory).spec
        if spec is None:
            return
        before = self._configuration.problems
        image, lines = Path(spec.image) if spec.image else None, self._machine.story.console.lines
        self._configuration.update_guest(self._machine.guest, image, lines)
        if self._configuration.problems != before:
            self._publish()

    def _make_context(self) -> None:
        problem = None
        if self._settings.current().use_context:
            try:
                problem = context.ensure(self._home)
            except GalleyError as error:
                problem = error.to_problem()
        self._context_problem = problem
        self._publish()

    def _keep_logins(self) -> None:
        """What is in the way of it is not in the way of an engine: `galley diagnose` tells."""
        try:
            logins.follow(self._home, self._settings.current().use_keyring)
        except GalleyError as error:
            log.info("logins stay where docker keeps them: %s", error)

    def _settings_changed(self) -> None:
        self._saver.set_rules(rules_of(self._settings, self._machine.backend))
        if self._machine.status.state.is_up:
            self._keep_logins()
            with contextlib.ExitStack() as held:
                held.callback(self._saver.keep_awake())
                self._configure()
                self._disk_room.grow(self._machine, self._settings.load().disk)
        self._publish()

    # --- the bridge -------------------------------------------------------------------------

    def _dial_guest(self, socket_path: str) -> Stream:
        return self._machine.guest.dial(socket_path)

    def _dial(self) -> Stream:
        self._saver.awake()
        return self._dial_as_it_is()

    def _dial_as_it_is(self) -> Stream:
        return self._dial_guest(DOCKER_SOCKET)

    def _down(self) -> Problem | None:
        """Why a client cannot be served now; None lets the bridge dial."""
        status, stalled = self._machine.status, self._host_room.problems
        if status.state.is_up:
            return stalled[0] if stalled else None
        if status.state is MachineState.STARTING:
            on_boot = status.boot[-1].step if status.boot else "starting"
            if on_boot in SERVED:
                return None
            return MachineBusy(
                f"Galley's engine is starting ({on_boot}).", "Try again in a moment."
            ).to_problem()
        if status.problem is not None:
            return status.problem
        return EngineUnreachable(
            f"Galley's engine is {status.state}.", "Start it with `galley start`."
        ).to_problem()

    # --- what the parts report --------------------------------------------------------------

    def on_resumed(self) -> None:
        """The resource saver has resumed the paused machine, whose clock stood still."""
        with contextlib.suppress(GalleyError):  # it is tried again
            self._clock.set_now()

    def on_auto_suspend_ended(self) -> None:
        """The resource saver does not suspend the machine, or its next use does not resume it."""
        self._machine_changed(self._machine.status)

    def _machine_changed(self, status: Status) -> None:
        for part in (self._clock, self._disk_room):
            part.follow(status.state is MachineState.RUNNING)
        lives = status.state.is_up or status.state is MachineState.STARTING
        self._host_room.follow(lives)
        if not lives:
            self._watch.end()
            self._file_events.follow(())
            self._names.forget()
            if status.state is not MachineState.STOPPING:  # what ends may write to the last
                self._folders.end()
        self._ports.follow(status.state)
        self._saver.machine_changed()
        self._publish()

    def _healthy(self, health: EngineHealth) -> None:
        if not health.reachable:
            self._saver.set_containers(None)
        if health != self._health:
            self._health = health
            self._publish()

    def _containers_changed(self, containers: list[Container]) -> None:
        self._ports.sync(containers)
        self._file_events.follow(self._folders.follow(containers))
        self._names.follow(containers)
        self._saver.set_containers(self._ports.with_listeners(containers))

    def _publish(self) -> None:
        status = self.status()
        for listener in self._listeners:
            listener(status)
