"""Is every published port open on this computer?"""

from engine.diagnose.facts import Facts
from vm.errors import Problem

TITLE = "Every published port is open"


def applies(facts: Facts) -> bool:
    return facts.status is not None and bool(facts.status.ports)


def check(facts: Facts) -> Problem | None:
    assert facts.status is not None
    return next((port.problem for port in facts.status.ports if port.problem), None)
