"""Do host and guest agree what time it is? A guest that is behind fails every https download."""

import time

from engine.diagnose.facts import Facts
from vm.errors import MachineError, Problem

TITLE = "The machine's clock is right"
TOLERANCE = 5.0  # seconds


def applies(facts: Facts) -> bool:
    return facts.guest is not None


def check(facts: Facts) -> Problem | None:
    assert facts.guest is not None
    said = facts.guest.run(("date", "+%s"), timeout=10)
    if not said.stdout.strip().isdigit():
        return MachineError("The machine does not tell its time.", details=said.tail()).to_problem()
    behind = time.time() - int(said.stdout)
    if abs(behind) < TOLERANCE:
        return None
    return MachineError(
        f"The machine's clock is {behind:.0f} s behind."
        if behind > 0
        else f"The machine's clock is {-behind:.0f} s ahead.",
        "Run `galley restart`.",
    ).to_problem()
