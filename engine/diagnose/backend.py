"""Can this computer run the machine at all?"""

from engine.diagnose.facts import Facts
from vm.errors import Problem

TITLE = "The program that runs the machine is usable"


def applies(facts: Facts) -> bool:
    return facts.backend is not None


def check(facts: Facts) -> Problem | None:
    assert facts.backend is not None
    return facts.backend.probe()
