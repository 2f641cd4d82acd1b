"""Published ports as a whole: read from dockerd, forwarded by this host, routed in the guest.

`PortSync` is the one object that the engine holds for ports. A new source of ports is added to
`sync`, and a new condition for a start to `starts`, not to `engine/engine.py`. Next:
`published_spec.py`, `services.py`, `overlay.py`, `published.py`, `engine/ports/starts.py`,
`guest_rules.py`, `wake_on_traffic.py`.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

import msgspec

from engine.dockerapi.http import Dial
from engine.ports.guest_rules import GuestRules
from engine.ports.host_forwarder import LOOPBACK, HostForwarder
from engine.ports.host_network import (
    is_wanted,
    listening_ports,
    listening_routes,
    with_listeners,
)
from engine.ports.listeners import GuestListeners, Listeners
from engine.ports.overlay import with_gateways
from engine.ports.published import PublishedPorts
from engine.ports.published_spec import (
    UNALLOCATED,
    Container,
    Default,
    default_addresses,
    ports_to_publish,
    routes,
)
from engine.ports.services import Services, service_ports
from engine.ports.starts import Starts
from engine.ports.wake_on_traffic import PortWaker
from engine.settings.store import SettingsStore
from engine.types import PublishedPort
from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import NoMachine, Problem
from vm.guest.protocol import Guest, Stream
from vm.host import net
from vm.types import MachineState

PORTS_SOCKET = "/run/galley/ports.sock"  # in the guest
LISTENERS_SOCKET = "/run/galley/listeners.sock"  # in the guest


class HostMachine(Protocol):
    """`vm.lifecycle.machine.Machine`, as far as ports need it. `guest` raises NoMachine."""

    backend: Backend
    directory: MachineDir

    @property
    def guest(self) -> Guest: ...


class ResourceSaver(Protocol):
    """The resource saver. `awake` resumes the machine; `wait` returns when that has ended."""

    def awake(self) -> None: ...
    def wait(self) -> None: ...


class PortSync:
    """`dial`: to dockerd. `look`: list the running containers now, and return after `sync`.
    `must_share`: raises NotShared. `on_change`: the ports have changed. Any thread."""

    def __init__(
        self,
        *,
        machine: HostMachine,
        saver: ResourceSaver,
        settings: SettingsStore,
        guest_rules: GuestRules,
        dial: Dial,
        look: Callable[[], None],
        must_share: Callable[[Iterable[str], Collection[str]], None],
        on_change: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._settings = settings
        self._dial = dial
        self._guest_rules = guest_rules
        self._on_change = on_change
        traffic = machine.backend.wakes_on_traffic
        self._port_waker = PortWaker(machine.directory, traffic, saver.awake, saver.wait)
        forwarder = HostForwarder(machine.backend, machine.directory, self._port_waker.release)
        self._published = PublishedPorts(forwarder, on_change)
        self._services = Services(dial)
        self._guest_listeners = GuestListeners(self._dial_listeners, look)
        self._listeners: Listeners = ()
        self._look = look
        self._carries_listeners = self._may_carry_listeners()
        settings.subscribe(lambda _: self._settings_changed())
        self.starts = Starts(
            dial=dial,
            dial_ports=self._dial_ports,
            ports=self._published,
            default=self._default,
            services=self._services,
            look=look,
            must_share=must_share,
        )

    @property
    def ports(self) -> tuple[PublishedPort, ...]:
        missing = {(route.protocol, route.guest_port) for route in self._guest_rules.missing}
        return tuple(
            msgspec.structs.replace(port, problem=self._guest_rules.problem)
            if port.problem is None and (port.forward.protocol, port.forward.guest_port) in missing
            else port
            for port in self._published.ports
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(port.problem for port in self.ports if port.problem)

    def sync(self, containers: list[Container]) -> None:
        """Forward the ports that containers and services publish, and those that containers on the
        host network listen on. `containers`: all that run."""
        containers = with_gateways(containers, self._dial)
        asked, default = self.starts.asked(containers), self._default()
        wanted = ports_to_publish(containers, asked, default)
        wanted += service_ports(self._services.current(containers), default)
        self._carries_listeners = self._may_carry_listeners()
        listeners = self._guest_listeners.follow(self._carries_listeners and is_wanted(containers))
        self._listeners = listeners
        loopback = default_addresses(LOOPBACK, net.has_ipv6())
        wanted += listening_ports(containers, listeners, wanted, loopback)
        self._published.sync(wanted)
        problem = self._guest_rules.problem
        with contextlib.suppress(NoMachine):
            rules = routes(containers, asked, self._published.ports)
            rules |= listening_routes(containers, listeners, self._published.ports)
            self._guest_rules.apply(self._machine.guest, rules)
        if self._guest_rules.problem != problem:
            self._on_change()

    def with_listeners(self, containers: list[Container]) -> list[Container]:
        """`containers`, where those on the host network publish what they listen on. The listeners
        are those of the last `sync`."""
        return with_listeners(containers, self._listeners)

    def follow(self, state: MachineState) -> None:
        """The machine's state has changed. `sync` is called only while it runs."""
        leading = [port.forward for port in self.ports if port.forward.guest_port != UNALLOCATED]
        self._port_waker.follow(state, leading)
        if state.is_up or state is MachineState.STARTING:
            return
        self._guest_listeners.follow(False)
        self._published.forget()
        self._services.forget()
        if state is not MachineState.STOPPING:
            self._guest_rules.forget()

    def is_ready(self) -> bool:
        """Whether a connection to a port of the paused machine wakes it from now on."""
        return self._port_waker.is_ready()

    def close(self) -> None:
        self._guest_listeners.follow(False)
        self._port_waker.close()

    def _may_carry_listeners(self) -> bool:
        return self._settings.current().host_network_ports

    def _settings_changed(self) -> None:
        if self._may_carry_listeners() is not self._carries_listeners:
            self._look()

    def _default(self) -> Default:
        return default_addresses(self._settings.current().port_address, net.has_ipv6())

    def _dial_ports(self) -> Stream:
        return self._machine.guest.dial(PORTS_SOCKET)

    def _dial_listeners(self) -> Stream:
        return self._machine.guest.dial(LISTENERS_SOCKET)
