"""Does docker keep registry logins in the keyring?

On a computer without a keyring there is a choice to make, and its hint says which.
"""

from engine.credentials.logins import why_not
from engine.diagnose.facts import Facts
from vm.errors import Problem
from vm.types import MachineState

TITLE = "Registry logins are kept in the keyring"


def applies(facts: Facts) -> bool:
    """Once there has been a start, which is when docker gets it as its store."""
    made = facts.observation is not None and facts.observation.state is not MachineState.ABSENT
    return made and facts.settings is not None and facts.settings.use_keyring


def check(facts: Facts) -> Problem | None:
    del facts
    error = why_not()
    return error.to_problem() if error else None
