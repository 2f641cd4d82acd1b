"""Will a plain `docker` talk to Galley?"""

import os

from engine.diagnose.facts import Facts
from engine.dockercli import context
from engine.dockercli.tools import docker_cli
from vm.errors import HostError, Problem, ToolMissing
from vm.types import MachineState

TITLE = "A plain `docker` on this computer reaches Galley"


def applies(facts: Facts) -> bool:
    made = facts.observation is not None and facts.observation.state is not MachineState.ABSENT
    return made and facts.settings is not None and facts.settings.use_context


def check(facts: Facts) -> Problem | None:
    if docker_cli() is None:
        return ToolMissing(
            "There is no docker program on this computer.",
            "Use `galley docker …`, which runs the one in the machine, or install a docker client.",
        ).to_problem()
    given, ours = os.environ.get("DOCKER_HOST"), context.endpoint(facts.home)
    if given and given != ours:
        return HostError(
            f"DOCKER_HOST points docker at {given}, not at Galley.",
            "Unset it, or use `galley docker …`.",
        ).to_problem()
    chosen, name = os.environ.get("DOCKER_CONTEXT"), context.context_name(facts.home)
    if given or (chosen == name if chosen else context.is_current(facts.home)):
        return None
    return HostError(
        "Docker uses another context than Galley's.",
        f"Run `docker context use {name}`, or use `galley docker …`.",
    ).to_problem()
