"""Can Galley write where it keeps its files?"""

import os

from engine.diagnose.facts import Facts
from vm.errors import Problem
from vm.host.paths import unusable

TITLE = "Galley's folders can be written"


def applies(facts: Facts) -> bool:
    return facts.home.root.exists()


def check(facts: Facts) -> Problem | None:
    for folder in (facts.home.root, facts.home.run, facts.home.logs, facts.home.machine):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            return unusable(folder, PermissionError(13, "it is not writable")).to_problem()
    return None
