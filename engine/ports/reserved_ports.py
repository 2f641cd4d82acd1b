"""Reserves ports that are in use on this computer, so that dockerd does not choose them.

dockerd chooses the port where a container is published on any port or on a range, and it sees the
guest's ports only. So while such a container starts, a program in the guest binds the ports that
are in use on this computer, and dockerd skips them as it does on Linux. Next:
`engine/guest/files/source/ports.c`, `engine/ports/starts.py`.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

import msgspec

from engine.dockerapi.http import Dial
from engine.ports.published_spec import PROTOCOLS, Default, InspectedContainer
from vm.errors import GalleyError
from vm.host import net

log = logging.getLogger(__name__)

ANY = range(20000, 30000)  # sysctl.conf in the guest
ANSWER = b"held\n"
LOST = (GalleyError, OSError)

Port = tuple[str, int]
"""Its protocol and its number."""


class Choice(msgspec.Struct, frozen=True):
    """The ports that dockerd chooses one from."""

    protocol: str
    addresses: Default
    ports: range = ANY


def choices(asked: InspectedContainer, default: Default) -> Iterator[Choice]:
    """The choices that dockerd makes when the container starts."""
    for _, protocol, binding in asked.bindings():
        addresses = (binding.HostIp,) if binding.HostIp else default
        if not binding.port:
            yield Choice(protocol, addresses, binding.range or ANY)
    if asked.HostConfig.PublishAllPorts:
        yield from (Choice(protocol, default) for protocol in PROTOCOLS)


class ReservedPorts:
    """`dial`: to the program in the guest; `ours`: ports of containers, which dockerd has in its
    own list."""

    def __init__(self, dial: Dial, ours: Callable[[], frozenset[Port]]) -> None:
        self._dial = dial
        self._ours = ours

    def hold(self, asked: InspectedContainer, default: Default) -> Callable[[], None]:
        """Reserve the ports that are in use here until the returned function is called. A failure
        is logged only: a port that dockerd then chooses in vain is shown as a problem later."""
        held = contextlib.ExitStack()
        try:
            taken = self._taken(asked, default)
            if not taken:
                return held.close
            stream = self._dial()
            held.callback(stream.close)
            lines = [f"{protocol} {port}\n" for protocol, port in sorted(taken)]
            stream.sendall("".join((*lines, "\n")).encode())
            answer = b""
            while len(answer) < len(ANSWER) and (more := stream.recv(len(ANSWER))):
                answer += more
        except LOST as error:
            log.warning("dockerd may choose ports that are in use here: %s", error)
        return held.close

    def _taken(self, asked: InspectedContainer, default: Default) -> set[Port]:
        found = {
            (choice.protocol, port)
            for choice in set(choices(asked, default))
            for port in net.taken(choice.addresses, choice.ports, choice.protocol)
        }
        return found - self._ours()
