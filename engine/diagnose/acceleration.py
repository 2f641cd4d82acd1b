"""Does the machine run on the processor itself, or is it emulated?"""

from engine.diagnose.facts import Facts
from vm.errors import Problem, VirtualizationOff

TITLE = "The machine runs at full speed"
EMULATED = "tcg"


def applies(facts: Facts) -> bool:
    return facts.observation is not None and facts.observation.accelerator is not None


def check(facts: Facts) -> Problem | None:
    assert facts.observation is not None
    accelerator = facts.observation.accelerator
    if accelerator is None or accelerator.name != EMULATED:
        return None
    return VirtualizationOff(
        "The machine is emulated, which makes it five to ten times slower.",
        f"{accelerator.reason} Turn on virtualization in the firmware's settings, and give your "
        "user access to it (Linux: the group of /dev/kvm).",
    ).to_problem()
