"""Does dockerd run with what the user has written for it? May import: `facts`, `daemon_config`."""

from engine import daemon_config
from engine.diagnose.facts import Facts
from vm.console import Console
from vm.directory import MachineDir
from vm.errors import Problem

TITLE = "daemon.json is in force"


def applies(facts: Facts) -> bool:
    return facts.home.daemon_config.exists()


def check(facts: Facts) -> Problem | None:
    problem = daemon_config.check(daemon_config.read(facts.home))
    if problem is not None or not facts.is_running:
        return problem
    return daemon_config.refusal(Console(MachineDir.of(facts.home).console_log).lines())
