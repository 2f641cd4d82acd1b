"""What follows in the engine when the machine's state, dockerd's health or the containers change.

Each method is called by the part that sees the change, in that part's thread. Next:
`vm/lifecycle/machine.py`, `dockerd_watch.py`, which see them; `engine/engine.py`.
"""

from collections.abc import Callable

from engine.file_events.events import FileEvents
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.lifecycle.resource_saver import ResourceSaver
from engine.monitors.machine_monitors import MachineMonitors
from engine.ports.port_sync import PortSync
from engine.ports.published_spec import Container
from engine.provisioning.container_dns import LocalNames
from engine.shares.shared_folders import SharedFolders
from engine.types import EngineHealth
from vm.types import MachineState, Status


class Reactions:
    """`publish` sends the engine's status. Any thread."""

    def __init__(
        self,
        *,
        saver: ResourceSaver,
        watch: EngineWatch,
        monitors: MachineMonitors,
        folders: SharedFolders,
        file_events: FileEvents,
        names: LocalNames,
        ports: PortSync,
        publish: Callable[[], None],
    ) -> None:
        self._saver = saver
        self._watch = watch
        self._monitors = monitors
        self._folders = folders
        self._file_events = file_events
        self._names = names
        self._ports = ports
        self._publish = publish
        self._health = EngineHealth(False)  # as published

    def machine_changed(self, status: Status) -> None:
        state = status.state
        self._monitors.follow(state)
        if not (state.is_up or state is MachineState.STARTING):
            self._watch.end()
            self._file_events.follow(())
            self._names.forget()
            if state is not MachineState.STOPPING:  # a stopping machine may still write
                self._folders.end()
        self._ports.follow(state)
        self._saver.machine_changed()
        self._publish()

    def health_seen(self, health: EngineHealth) -> None:
        """dockerd answers, or does not."""
        if not health.reachable:
            self._saver.set_containers(None)
        if health != self._health:
            self._health = health
            self._publish()

    def containers_changed(self, containers: list[Container]) -> None:
        """These run now."""
        self._ports.sync(containers)
        self._file_events.follow(self._folders.follow(containers))
        self._names.follow(containers)
        self._saver.set_containers(self._ports.with_listeners(containers))
