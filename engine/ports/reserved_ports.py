"""Ports that dockerd is not to choose, because somebody on this computer has them.

dockerd chooses where a container is published on any port, or on one of a range, and it sees the
guest's ports only. So while such a container starts, a program in the guest holds what is taken
here, and dockerd passes it over, as it does on a computer of its own. Next:
`engine/guest/files/source/ports.c`, `engine/ports/starts.py`.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

import msgspec

from engine.dockerapi.http import Dial
from engine.ports.published_spec import PROTOCOLS, Asked, Default
from vm.errors import GalleyError
from vm.host import net

log = logging.getLogger(__name__)

ANY = range(20000, 30000)  # sysctl.conf in the guest
ANSWER = b"held\n"
LOST = (GalleyError, OSError)

Port = tuple[str, int]
"""Its protocol and its number."""


class Choice(msgspec.Struct, frozen=True):
    """What dockerd chooses a port from."""

    protocol: str
    addresses: Default
    ports: range = ANY


def choices(asked: Asked, default: Default) -> Iterator[Choice]:
    """Those that dockerd has to make when the container starts."""
    for _, protocol, binding in asked.bindings():
        addresses = (binding.HostIp,) if binding.HostIp else default
        if not binding.port:
            yield Choice(protocol, addresses, binding.range or ANY)
    if asked.HostConfig.PublishAllPorts:
        yield from (Choice(protocol, default) for protocol in PROTOCOLS)


class AvoidedPorts:
    """`dial`: to the program in the guest; `ours`: what containers have, and dockerd knows of."""

    def __init__(self, dial: Dial, ours: Callable[[], frozenset[Port]]) -> None:
        self._dial = dial
        self._ours = ours

    def hold(self, asked: Asked, default: Default) -> Callable[[], None]:
        """Let dockerd choose none that is taken here, until what is returned is called. A guest
        that does not take part, or a computer that does not say what is taken, is logged: then a
        port that was chosen badly is told afterwards."""
        held = contextlib.ExitStack()
        try:
            taken = self._taken(asked, default)
            if not taken:
                return held.close
            stream = self._dial()
            held.callback(stream.close)
            lines = [f"{protocol} {port}\n" for protocol, port in sorted(taken)]
            stream.sendall("".join((*lines, "\n")).encode())
            said = b""
            while len(said) < len(ANSWER) and (more := stream.recv(len(ANSWER))):
                said += more
        except LOST as error:
            log.warning("ports that are taken here may be chosen: %s", error)
        return held.close

    def _taken(self, asked: Asked, default: Default) -> set[Port]:
        found = {
            (choice.protocol, port)
            for choice in set(choices(asked, default))
            for port in net.taken(choice.addresses, choice.ports, choice.protocol)
        }
        return found - self._ours()
