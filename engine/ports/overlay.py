"""The gateway of containers that are on overlay networks only, where dockerd publishes ports.

Such a container has its default route on docker_gwbridge, a bridge that every node of a swarm has.
GET /containers/json does not list it, so it is read from GET /networks/docker_gwbridge where such a
container publishes a port on one address. Next: `port_sync.py`.
"""

import logging

import msgspec

from engine.dockerapi.http import Dial, HttpError, get_json
from engine.ports.published_spec import ANY_ADDRESS, Container, Network, Networks
from vm.errors import GalleyError

log = logging.getLogger(__name__)

BRIDGE = "docker_gwbridge"
LOST = (GalleyError, HttpError, OSError)


class Attached(msgspec.Struct, frozen=True):
    IPv4Address: str = ""  # with the length of its prefix


class Bridge(msgspec.Struct, frozen=True):
    """GET /networks/ID. `Containers` is by container id."""

    Containers: dict[str, Attached] | None = None


def with_gateways(containers: list[Container], dial: Dial) -> list[Container]:
    """`containers`, with docker_gwbridge among their networks where they need it."""
    if not any(map(_needs_one, containers)):
        return containers
    try:
        attached = get_json(dial, f"/networks/{BRIDGE}", Bridge).Containers or {}
    except LOST as error:
        log.info("cannot list %s: %s", BRIDGE, error)
        return containers
    return [
        _with_gateway(container, attached.get(container.Id)) if _needs_one(container) else container
        for container in containers
    ]


def _needs_one(container: Container) -> bool:
    ports = container.Ports or ()
    on_one_address = any(port.PublicPort and port.IP not in ANY_ADDRESS for port in ports)
    return on_one_address and not container.gateway_address


def _with_gateway(container: Container, attached: Attached | None) -> Container:
    if attached is None:
        return container
    address = attached.IPv4Address.partition("/")[0]
    more = {**container.NetworkSettings.Networks, BRIDGE: Network(address, Gateway=BRIDGE)}
    return msgspec.structs.replace(container, NetworkSettings=Networks(more))
