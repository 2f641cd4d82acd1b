"""Keeps this host's open ports equal to those that dockerd publishes.

Wanted ports come from dockerd (`engine/lifecycle/dockerd_watch.py` reports changes), open ones from
the forwarder; `PublishedPorts.sync` closes the difference. The ports of a container that is about
to start are reserved first (`engine/ports/starts.py`), so that a port in use is an error before
anything runs. Next: `published_spec.py`, `host_forwarder.py`.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from engine.ports.guest_port_allocator import allocate, already_published, overlap
from engine.ports.published_spec import EVERY_IPV4, EVERY_IPV6, slot
from engine.types import PublishedPort
from vm.errors import GalleyError, PortInUse, Problem, from_problem
from vm.types import Forward

log = logging.getLogger(__name__)


class PortForwarder(Protocol):
    """Opens and closes ports of this host. Its errors are GalleyErrors."""

    def forward(self, forward: Forward) -> None: ...
    def unforward(self, forward: Forward) -> None: ...
    def forwarded(self) -> frozenset[Forward]: ...

    def forget(self) -> None:
        """The machine is gone: nothing leads anywhere any more."""


class PublishedPorts:
    """Thread-safe; one change at a time."""

    def __init__(self, forwarder: PortForwarder, on_change: Callable[[], None]) -> None:
        self._forwarder = forwarder
        self._on_change = on_change
        self._lock = threading.Lock()
        self._ports: tuple[PublishedPort, ...] = ()
        self._reserved: Counter[Forward] = Counter()

    @property
    def ports(self) -> tuple[PublishedPort, ...]:
        return self._ports

    def held(self) -> frozenset[tuple[str, int]]:
        """Protocol and number of each port that containers have or are about to get."""
        with self._lock:
            forwards = {port.forward for port in self._ports} | self._reserved.keys()
        return frozenset((forward.protocol, forward.host_port) for forward in forwards)

    def sync(self, wanted: list[PublishedPort]) -> None:
        """Open what is missing, close what is no longer wanted. A port in use becomes the `problem`
        of its PublishedPort."""
        with self._lock:
            carried = self._forwarder.forwarded()
            ports = allocate(wanted, carried)
            keep = {port.forward for port in ports} | self._reserved.keys()
            for forward in sorted(carried - keep):
                self._try(self._forwarder.unforward, forward)
            seen = tuple(self._open(port, carried) for port in ports)
            changed, self._ports = seen != self._ports, seen
        if changed:
            self._on_change()

    def reserve(
        self, name: str, forwards: Iterable[Forward], *, service: bool = False
    ) -> list[Forward]:
        """Open them for a container that is about to start, or a service about to be created or
        updated. `sync` keeps the returned forwards until `release`. Raises PortInUse and the
        forwarder's errors, and then has opened none."""
        with self._lock:
            carried = self._forwarder.forwarded()
            opened: list[Forward] = []
            asked = [PublishedPort(name, 0, each, service=service) for each in forwards]
            ports = allocate(asked, carried)
            for problem in filter(None, (port.problem for port in ports)):
                raise from_problem(problem)
            wanted = [port.forward for port in ports]
            self._refuse_those_of_others(ports)
            carried -= self._take_from_listeners(wanted, carried)
            slots = set(map(slot, wanted))
            for forward in carried.difference(wanted, self._reserved):
                if slot(forward) in slots:  # an ended container's, with another guest port
                    self._try(self._forwarder.unforward, forward)
            try:
                for forward in wanted:
                    if forward not in carried:
                        self._forwarder.forward(forward)
                        opened.append(forward)
            except GalleyError as error:
                for done in opened:
                    self._try(self._forwarder.unforward, done)
                raise self._named(error, forward) from error
            self._reserved.update(wanted)
            return wanted

    def release(self, forwards: Iterable[Forward]) -> None:
        """The container has started, or failed to: from now on `sync` decides."""
        with self._lock:
            self._reserved -= Counter(forwards)

    def forget(self) -> None:
        """The machine is gone, and its forwards with it."""
        with self._lock:
            self._forwarder.forget()
            self._reserved.clear()
            changed, self._ports = bool(self._ports), ()
        if changed:
            self._on_change()

    def _refuse_those_of_others(self, ports: Iterable[PublishedPort]) -> None:
        """dockerd does this itself except for IPv6 addresses and for services."""
        published = (port for port in self._ports if not port.host_network)
        holders = {slot(held.forward): held for held in published if held.problem is None}
        for port in ports:
            holder = holders.get(slot(port.forward), port)
            if not holder.has_owner_of(port):
                raise already_published(port.forward, holder)

    def _take_from_listeners(
        self, wanted: list[Forward], carried: frozenset[Forward]
    ) -> set[Forward]:
        """Close ports of the host network that overlap with published ones."""
        closed = {
            port.forward
            for port in self._ports
            if port.host_network
            and port.forward in carried
            and port.forward not in wanted
            and any(overlap(port.forward, forward) for forward in wanted)
        }
        for forward in closed:
            self._try(self._forwarder.unforward, forward)
        return closed

    def _open(self, port: PublishedPort, carried: frozenset[Forward]) -> PublishedPort:
        if port.problem is not None or port.forward in carried:
            return port
        problem = self._try(self._forwarder.forward, port.forward)
        return msgspec.structs.replace(port, problem=problem)

    def _named(self, error: GalleyError, forward: Forward) -> GalleyError:
        """Name the container that holds the port, where one of ours does, instead of QEMU."""
        if not isinstance(error, PortInUse):
            return error
        for held in self._ports:
            addresses = {forward.host_address, held.forward.host_address}
            is_here = len(addresses) == 1 or addresses & {EVERY_IPV4, EVERY_IPV6}
            if held.problem is None and is_here and slot(held.forward)[1:] == slot(forward)[1:]:
                return already_published(forward, held)
        return error

    @staticmethod
    def _try(call: Callable[[Forward], None], forward: Forward) -> Problem | None:
        try:
            call(forward)
        except GalleyError as error:
            log.warning("port %s: %s", forward, error)
            return error.to_problem()
        return None
