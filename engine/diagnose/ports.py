"""Is every published port open on this computer?"""

from engine.diagnose.facts import Facts
from vm.errors import Problem

TITLE = "Every published port is open"


def applies(facts: Facts) -> bool:
    return facts.snapshot is not None and bool(facts.snapshot.ports)


def check(facts: Facts) -> Problem | None:
    assert facts.snapshot is not None
    return next((port.problem for port in facts.snapshot.ports if port.problem), None)
