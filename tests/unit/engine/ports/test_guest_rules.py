"""The guest's rules for ports on one address, applied to a real iptables in a network namespace."""

import os
import subprocess
from collections.abc import Iterator
from typing import cast

import pytest

from engine.ports.guest_rules import NO_ROUTES, GuestRules
from engine.ports.published_spec import Route
from vm.guest.protocol import Guest
from vm.host import process

WEB, DNS = Route("tcp", 65535, "172.17.0.2:80"), Route("udp", 65534, "172.17.0.3:53")
IMPOSSIBLE = Route("tcp", 65533, "172.17.0.999:80")  # which iptables refuses
HOOKED = "-A PREROUTING -i eth0 -j GALLEY"


class Namespace:
    """A guest that only runs commands. `refused`: text in a command line that makes it fail."""

    def __init__(self, name: str) -> None:
        self._enter = ("nsenter", f"--net=/run/netns/{name}")
        self.ran = 0
        self.refused = ""

    def run(
        self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60.0
    ) -> process.Completed:
        self.ran += 1
        words = ("false",) if self.refused and self.refused in " ".join(argv) else argv
        return process.run([*self._enter, *words], stdin=stdin, timeout=timeout)

    def rules(self) -> set[str]:
        stdout = self.run(("iptables", "-t", "nat", "-S")).stdout.decode()
        return {line for line in stdout.splitlines() if "GALLEY" in line}


@pytest.fixture
def guest() -> Iterator[Namespace]:
    name = f"galley-rules-{os.getpid()}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    yield Namespace(name)
    subprocess.run(("ip", "netns", "delete", name), check=True)


def apply(rules: GuestRules, guest: Namespace, *routes: Route) -> int:
    """Apply the routes; returns the number of commands run."""
    before = guest.ran
    rules.apply(cast(Guest, guest), frozenset(routes))
    return guest.ran - before


def rule_line(route: Route) -> str:
    match = f"-p {route.protocol} -m {route.protocol} --dport {route.guest_port}"
    return f"-A GALLEY {match} -j DNAT --to-destination {route.target}"


def test_rules_are_applied_and_only_changes_are_sent(guest: Namespace) -> None:
    rules = GuestRules()
    assert apply(rules, guest) == 0
    apply(rules, guest, WEB, DNS)
    assert guest.rules() == {"-N GALLEY", HOOKED, rule_line(WEB), rule_line(DNS)}
    assert apply(rules, guest, DNS, WEB) == 0
    apply(rules, guest, DNS)
    assert guest.rules() == {"-N GALLEY", HOOKED, rule_line(DNS)}
    apply(rules, guest)
    assert guest.rules() == {"-N GALLEY", HOOKED}
    assert rules.problem is None


def test_a_rule_that_the_guest_refuses_is_a_problem_and_is_retried(guest: Namespace) -> None:
    rules = GuestRules()
    apply(rules, guest, WEB)
    for _ in range(2):
        assert apply(rules, guest, WEB, IMPOSSIBLE) == 1
        assert rules.missing == {IMPOSSIBLE}
        assert rules.problem is not None
        assert "iptables-restore" in rules.problem.details
        assert rule_line(WEB) in guest.rules(), "earlier rules stay"
    apply(rules, guest, WEB, DNS)
    assert rule_line(DNS) in guest.rules()
    assert (rules.missing, rules.problem) == (NO_ROUTES, None)


def test_rules_without_the_hook_are_missing(guest: Namespace) -> None:
    rules = GuestRules()
    guest.refused = "PREROUTING"
    apply(rules, guest, WEB)
    assert rules.missing == {WEB}
    guest.refused = ""
    apply(rules, guest, WEB)
    assert HOOKED in guest.rules()
    assert rules.problem is None


def test_forget_drops_the_rules_of_the_last_machine(guest: Namespace) -> None:
    rules = GuestRules()
    apply(rules, guest, WEB)
    apply(rules, guest, IMPOSSIBLE)
    rules.forget()
    assert (rules.missing, rules.problem) == (NO_ROUTES, None)
    assert apply(rules, guest, WEB) == 2
