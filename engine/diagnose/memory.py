"""Does the machine fit into this computer's memory?"""

import psutil

from engine.diagnose.facts import Facts
from vm.errors import NotEnough, Problem

TITLE = "There is enough memory for the machine"


def applies(facts: Facts) -> bool:
    return facts.settings is not None and not facts.is_running


def check(facts: Facts) -> Problem | None:
    assert facts.settings is not None
    free, wanted = available(), facts.settings.memory
    if wanted <= free:
        return None
    gib = 1024**3
    return NotEnough(
        f"The machine may take {wanted / gib:.1f} GiB, and {free / gib:.1f} GiB are free now.",
        "Close some programs, or give it less: `galley settings set memory 2GiB`.",
    ).to_problem()


def available() -> int:
    """Bytes that programs may still take without swapping."""
    return int(psutil.virtual_memory().available)
