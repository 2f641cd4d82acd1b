"""Does dockerd run with what the user has written for it?"""

from engine.diagnose.facts import Facts
from engine.provisioning import daemon_json
from vm.directory import MachineDir
from vm.errors import Problem
from vm.guest.console import Console

TITLE = "daemon.json is in force"


def applies(facts: Facts) -> bool:
    return facts.home.daemon_config.exists()


def check(facts: Facts) -> Problem | None:
    problem = daemon_json.check(daemon_json.read(facts.home))
    if problem is not None or not facts.is_running:
        return problem
    return daemon_json.refusal(Console(MachineDir.of(facts.home).console_log).lines())
