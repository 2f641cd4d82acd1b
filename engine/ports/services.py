"""Ports that swarm services publish, and their forwards on this host.

A port in ingress mode belongs to the service: dockerd leads it to the service's tasks from any
address of the guest, so the forward has the same number in the guest. One in host mode belongs to
the task's container, which publishes it as any container does (`published_spec.py`). Next:
`port_sync.py`, `engine/ports/starts.py`.
"""

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator

import msgspec

from engine.dockerapi.http import Dial, HttpError, get_json
from engine.ports.published_spec import PROTOCOLS, Container, Default, PortNumber
from engine.types import PublishedPort
from vm.errors import GalleyError
from vm.types import Forward

log = logging.getLogger(__name__)

INGRESS = "ingress"


class ServicePort(msgspec.Struct, frozen=True):
    """`PublishedPort`: 0 in a specification lets the swarm choose."""

    Protocol: str = "tcp"
    TargetPort: PortNumber = 0
    PublishedPort: PortNumber = 0
    PublishMode: str = INGRESS


class ServicePorts(msgspec.Struct, frozen=True):
    Ports: tuple[ServicePort, ...] | None = ()


class ServiceSpec(msgspec.Struct, frozen=True):
    """The fields of POST /services/create and …/update that say what is to be published."""

    Name: str = ""
    EndpointSpec: ServicePorts | None = None

    @property
    def ports(self) -> tuple[ServicePort, ...]:
        found = self.EndpointSpec.Ports if self.EndpointSpec else None
        return tuple(port for port in found or () if port.Protocol in PROTOCOLS)

    def forwards(self, default: Default) -> list[Forward]:
        """The forwards of ports that are given as numbers, in either mode."""
        fixed = (port for port in self.ports if port.PublishedPort)
        return list(dict.fromkeys(each for port in fixed for each in _forwards(port, default)))


class Service(msgspec.Struct, frozen=True):
    """The fields of GET /services. `Endpoint` is what the swarm has allocated so far, which for a
    moment after an update is what the service had before."""

    Spec: ServiceSpec = ServiceSpec()
    Endpoint: ServicePorts | None = None

    def ingress_ports(self) -> Iterator[ServicePort]:
        wanted = [port for port in self.Spec.ports if port.PublishMode == INGRESS]
        yield from (port for port in wanted if port.PublishedPort)
        left_to_choose = {(p.Protocol, p.TargetPort) for p in wanted if not p.PublishedPort}
        for port in (self.Endpoint.Ports if self.Endpoint else None) or ():
            is_chosen = (port.Protocol, port.TargetPort) in left_to_choose
            if is_chosen and port.PublishedPort and port.PublishMode == INGRESS:
                yield port


class Services:
    """The services of the swarm that dockerd manages. Does not ask dockerd where there is no sign
    of a swarm: dockerd would log an error each time. Any thread."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._lock = threading.Lock()
        self._expected = 0
        self._listed: tuple[Service, ...] = ()

    @contextlib.contextmanager
    def expected(self) -> Iterator[None]:
        """List services meanwhile, also where there is no sign of a swarm: one may be created."""
        with self._lock:
            self._expected += 1
        try:
            yield
        finally:
            with self._lock:
                self._expected -= 1

    def current(self, containers: Iterable[Container]) -> tuple[Service, ...]:
        """`containers`: all that run; a task's container is a sign of a service."""
        if not (self._expected or self._listed or any(each.is_task for each in containers)):
            return ()
        try:
            self._listed = tuple(get_json(self._dial, "/services", list[Service]))
        except HttpError as error:  # it is no manager any more
            log.info("cannot list services: %s", error)
            self._listed = ()
        except (GalleyError, OSError) as error:
            log.info("cannot list services: %s", error)  # the next look tries again
        return self._listed

    def had(self, name: str, default: Default) -> list[Forward]:
        """The forwards of that service as it was last listed."""
        specs = (service.Spec for service in self._listed if service.Spec.Name == name)
        return [forward for spec in specs for forward in spec.forwards(default)]

    def forget(self) -> None:
        self._listed = ()


def service_ports(services: Iterable[Service], default: Default) -> list[PublishedPort]:
    """The ingress ports of `services`, wanted on the addresses for ports without one."""
    return [
        PublishedPort(service.Spec.Name, port.TargetPort, forward, service=True)
        for service in services
        for port in service.ingress_ports()
        for forward in _forwards(port, default)
    ]


def _forwards(port: ServicePort, default: Default) -> Iterator[Forward]:
    number = port.PublishedPort
    yield from (Forward(address, number, number, port.Protocol) for address in default)
