"""Is the guest image what it was when it was built?"""

from engine.diagnose.facts import Facts
from vm.errors import ImageDamaged, Problem
from vm.image import find, verify

TITLE = "The guest image is sound"


def applies(facts: Facts) -> bool:
    return bool(find(facts.home.images))


def check(facts: Facts) -> Problem | None:
    try:
        verify(find(facts.home.images)[0])
    except ImageDamaged as damage:
        return damage.to_problem()
    return None
