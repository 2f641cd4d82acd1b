"""Does a start go on from a machine that has booted?"""

from engine.diagnose.facts import Facts
from vm.directory import MachineDir
from vm.errors import Problem

TITLE = "The machine starts as quickly as it can"


def applies(facts: Facts) -> bool:
    return facts.backend is not None and facts.backend.explains is not None


def check(facts: Facts) -> Problem | None:
    assert facts.backend is not None
    assert facts.backend.explains is not None
    return facts.backend.explains.why_slow(MachineDir.of(facts.home))
