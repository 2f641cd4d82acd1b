"""Does what is to start at login really start, and is it this Galley?"""

from engine import autostart
from engine.autostart import Standing
from engine.diagnose.facts import Facts
from vm.errors import Problem

TITLE = "This Galley starts at login"


def applies(facts: Facts) -> bool:
    """Where there is an entry of it at all."""
    return autostart.state(facts.home).standing is not Standing.DISABLED


def check(facts: Facts) -> Problem | None:
    return autostart.state(facts.home).problem
