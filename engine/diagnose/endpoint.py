"""Does docker get an answer where it is told to ask?"""

from engine.bridge.unix import connect
from engine.diagnose.facts import Facts
from engine.dockerapi.http import ping
from vm.errors import EngineUnreachable, Problem

TITLE = "The engine answers on the docker socket"


def applies(facts: Facts) -> bool:
    return facts.is_running and facts.status is not None


def check(facts: Facts) -> Problem | None:
    if ping(lambda: connect(facts.home.docker_socket, own=True)):
        return None
    return EngineUnreachable(
        f"Nothing answers on {facts.home.docker_socket}.",
        "`galley logs --component engine` has what dockerd said; `galley restart` starts it anew.",
    ).to_problem()
