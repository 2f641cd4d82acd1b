"""The guest's own part of published ports: its rules for those with an address of this computer.

Most users have none, so nothing is run until there are some. May import: `vm.guest`, `wanted.py`.
Next: `wanted.py`, which writes the rules down.
"""

import logging

from engine.ports.wanted import routes
from vm.errors import GalleyError
from vm.guest import Guest

log = logging.getLogger(__name__)

HOOK = "-t nat {} PREROUTING -i eth0 -j GALLEY"


class GuestRules:
    """Remembers what the guest has, so that it is asked for changes only."""

    def __init__(self) -> None:
        self._had = routes([], {}, [])

    def bring(self, guest: Guest, wanted: bytes) -> None:
        """To `wanted`, as iptables-restore reads it; what fails is tried again the next time."""
        if wanted == self._had:
            return
        try:
            guest.run(("iptables-restore", "--wait", "--noflush"), stdin=wanted)
            if not guest.run(("iptables", "--wait", *HOOK.format("-C").split())).ok:
                guest.run(("iptables", "--wait", *HOOK.format("-A").split()))
        except GalleyError as error:
            log.warning("the guest's port rules: %s", error)
            return
        self._had = wanted

    def forget(self) -> None:
        """The machine is gone, and they with it."""
        self._had = routes([], {}, [])
