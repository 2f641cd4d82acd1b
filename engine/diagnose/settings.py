"""Can every line of the settings file be used?"""

from engine.diagnose.facts import Facts
from vm.errors import Problem

TITLE = "The settings file is in order"


def applies(facts: Facts) -> bool:
    return facts.settings is not None


def check(facts: Facts) -> Problem | None:
    assert facts.settings is not None
    return facts.settings.problems[0] if facts.settings.problems else None
