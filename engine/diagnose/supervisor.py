"""Does Galley's background process stand in front of the machine?"""

from engine.diagnose.facts import Facts
from vm.errors import Problem, SupervisorGone

TITLE = "Galley's background process runs"


def applies(facts: Facts) -> bool:
    return facts.is_running


def check(facts: Facts) -> Problem | None:
    if facts.status is not None:
        return None
    return SupervisorGone(
        "The machine runs, but Galley's background process does not: docker cannot reach it.",
        "Run `galley start`: containers are not touched.",
    ).to_problem()
