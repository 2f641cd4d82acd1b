"""NAME.galley.local: containers find each other by name, also on the default network.

The guest's resolver rereads a file whenever it changes (hostsdir in dnsmasq.conf), and answers each
container with the address on the network from which it asks. The file lists the running containers,
where the setting `local_names` is on. Next: `engine/lifecycle/reactions.py`, which passes the list
on.
"""

import logging
import threading
from collections.abc import Iterable, Sequence

from engine.ports.published_spec import Container
from engine.settings.store import SettingsStore
from vm.errors import GalleyError
from vm.guest.protocol import ReachableMachine

log = logging.getLogger(__name__)

DOMAIN = "galley.local"
FILE = "/run/galley/names/containers"  # in the guest
LONGEST_LABEL, LONGEST_NAME = 63, 253  # RFC 1035


def hosts(containers: Iterable[Container]) -> bytes:
    """As lines of /etc/hosts: a container with several networks has as many."""
    lines = {
        f"{address} {container.name}.{DOMAIN}\n"
        for container in containers
        if _is_name(container.name)
        for address in container.addresses
    }
    return "".join(sorted(lines)).encode()


class LocalNames:
    """Any thread."""

    def __init__(self, settings: SettingsStore, machine: ReachableMachine) -> None:
        self._settings = settings
        self._machine = machine
        self._lock = threading.Lock()
        self._containers: Sequence[Container] | None = None  # None: no machine runs
        self._has: bytes | None = None  # the content of the guest's file; None: unknown
        settings.subscribe(lambda _: self._update_guest())

    def follow(self, containers: Sequence[Container]) -> None:
        """`containers` run now. Blocks until the guest has their names; usually it has them
        already."""
        self._containers = containers
        self._update_guest()

    def forget(self) -> None:
        """The machine is gone, and its file."""
        with self._lock:
            self._containers, self._has = None, None

    def _update_guest(self) -> None:
        with self._lock:
            if self._containers is None:
                return
            is_on = self._settings.current().local_names
            wanted = hosts(self._containers) if is_on else b""
            if wanted == self._has or not (is_on or self._has):
                return
            try:
                # In place: the resolver would also read a new file before it is renamed.
                self._machine.guest.run(("tee", FILE), stdin=wanted)
            except GalleyError as error:
                log.warning("the names of containers: %s", error)
                return
            self._has = wanted


def _is_name(name: str) -> bool:
    labels = name.split(".")
    return len(f"{name}.{DOMAIN}") <= LONGEST_NAME and all(
        0 < len(label) <= LONGEST_LABEL for label in labels
    )
