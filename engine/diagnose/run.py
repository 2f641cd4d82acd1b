"""Gathers the facts and runs every check."""

import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum

import msgspec

from engine.client.launch import connect_only
from engine.diagnose import docker, host, machine
from engine.diagnose.facts import Check, Facts
from engine.settings.store import SettingsStore
from vm.backends import choose
from vm.directory import MachineDir
from vm.errors import GalleyError, Problem
from vm.host.paths import Home, unusable
from vm.types import MachineState

# A check comes after those that look at what it needs.
CHECKS: tuple[Check, ...] = (
    host.FOLDERS,
    host.SPACE,
    host.SETTINGS,
    machine.BACKEND,
    host.MEMORY,
    machine.ACCELERATION,
    machine.STARTS,
    machine.IMAGE,
    machine.IMAGE_AGE,
    docker.SUPERVISOR,
    docker.SOCKET,
    docker.DAEMON_JSON,
    machine.CLOCK,
    docker.CLIENT,
    docker.LOGINS,
    docker.PORTS,
    host.PROXY,
    host.AUTOSTART,
)


class Outcome(StrEnum):
    FINE = "fine"
    PROBLEM = "problem"
    SKIPPED = "skipped"  # the question makes no sense now


class Result(msgspec.Struct, frozen=True):
    """The answer to one question."""

    title: str
    outcome: Outcome
    problem: Problem | None = None


@contextlib.contextmanager
def gathered(place: Home) -> Iterator[Facts]:
    """The facts; the error of a missing one becomes one of their failures."""
    failures: list[Problem] = []

    def attempt[T](get: Callable[[], T]) -> T | None:
        try:
            return get()
        except GalleyError as error:
            failures.append(error.to_problem())
            return None

    directory = MachineDir.of(place)
    loaded = attempt(SettingsStore(place).load)
    chosen = attempt(lambda: choose(loaded.backend if loaded else "auto"))
    seen = chosen.observe(directory) if chosen else None
    address = None if seen is None or seen.state is MachineState.PAUSED else seen.address
    guest = chosen.guest(directory, address) if chosen and address else None
    client = attempt(lambda: connect_only(place))
    try:
        status = attempt(client.status) if client else None
        yield Facts(place, loaded, chosen, seen, guest, status, tuple(failures))
    finally:
        if client is not None:
            client.close()
        if guest is not None:
            guest.close()


def run_checks(facts: Facts, checks: tuple[Check, ...] = CHECKS) -> tuple[Result, ...]:
    """Every answer."""
    return tuple(answers(facts, checks))


def answers(facts: Facts, checks: tuple[Check, ...] = CHECKS) -> Iterator[Result]:
    """Each result as it comes; a missing fact is reported like a failed check."""
    for bad in facts.failures:
        yield Result("The facts can be gathered", Outcome.PROBLEM, bad)
    for check in checks:
        yield _ask(check, facts)


def _ask(check: Check, facts: Facts) -> Result:
    if not check.applies(facts):
        return Result(check.title, Outcome.SKIPPED)
    try:
        problem = check.check(facts)
    except GalleyError as error:
        problem = error.to_problem()
    except OSError as error:  # a file that cannot be read is an answer too
        problem = unusable(facts.home.root, error).to_problem()
    return Result(check.title, Outcome.PROBLEM if problem else Outcome.FINE, problem)
