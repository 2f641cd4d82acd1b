"""The guest's NAT rules for ports that are published on one address of this computer.

Most users publish no such port, so nothing runs until there is one. Next: `published_spec.py`,
which computes the rules.
"""

import logging

from engine.messages.guest import PORT_RULES_REFUSED
from engine.ports.published_spec import Route
from vm.errors import BackendFailed, GalleyError, Problem
from vm.guest.protocol import Guest

log = logging.getLogger(__name__)

RESTORE = ("iptables-restore", "--wait", "--noflush")
HOOK = "iptables --wait -t nat {} PREROUTING -i eth0 -j GALLEY"
NO_ROUTES: frozenset[Route] = frozenset()


class GuestRules:
    """Keeps what the guest has, so that only changes are sent. `problem`: why the last change
    failed, if it did. Not thread-safe."""

    def __init__(self) -> None:
        self._present = NO_ROUTES
        self.missing = NO_ROUTES  # wanted, but not in the guest
        self.problem: Problem | None = None

    def apply(self, guest: Guest, wanted: frozenset[Route]) -> None:
        """Replace the guest's rules by `wanted`. After a failure the next call tries again."""
        if wanted != self._present:
            try:
                _run(guest, RESTORE, _restore_input(wanted))
                if not guest.run(tuple(HOOK.format("-C").split())).ok:
                    _run(guest, tuple(HOOK.format("-A").split()))
            except GalleyError as error:
                log.warning("the guest's port rules: %s %s", error.summary, error.details)
                self.missing = wanted - self._present
                self.problem = error.to_problem()
                return
        self._present, self.missing, self.problem = wanted, NO_ROUTES, None

    def forget(self) -> None:
        """The machine is gone, and its rules with it."""
        self._present, self.missing, self.problem = NO_ROUTES, NO_ROUTES, None


def _run(guest: Guest, argv: tuple[str, ...], stdin: bytes = b"") -> None:
    """Raises BackendFailed where it ends with an error, and what `Guest.run` raises."""
    done = guest.run(argv, stdin=stdin)
    if not done.ok:
        raise BackendFailed(
            PORT_RULES_REFUSED,
            details=f"{' '.join(argv)}\n{done.tail()}",
        )


def _restore_input(routes: frozenset[Route]) -> bytes:
    """The input of iptables-restore, which applies all of it or nothing."""
    rules = sorted(
        f"-A GALLEY -p {route.protocol} --dport {route.guest_port} -j DNAT "
        f"--to-destination {route.target}"
        for route in routes
    )
    return "\n".join(("*nat", ":GALLEY - [0:0]", *rules, "COMMIT", "")).encode()
