"""Checks of Docker: the supervisor, its socket, daemon.json, docker's context, logins, ports."""

import os

from engine.bridge.unix import connect
from engine.credentials.logins import why_not
from engine.diagnose.facts import Check, Facts
from engine.dockerapi.http import ping
from engine.dockercli import context
from engine.dockercli.tools import docker_cli
from engine.messages.diagnose import (
    DIAGNOSE_DOCKER_HOST,
    DIAGNOSE_ENDPOINT_SILENT,
    DIAGNOSE_NO_DOCKER,
    DIAGNOSE_NO_SUPERVISOR,
    DIAGNOSE_OTHER_CONTEXT,
)
from engine.provisioning import daemon_json
from vm.directory import MachineDir
from vm.errors import EngineUnreachable, HostError, Problem, SupervisorGone, ToolMissing
from vm.guest.console import Console


def _check_supervisor(facts: Facts) -> Problem | None:
    if facts.status is not None:
        return None
    return SupervisorGone(DIAGNOSE_NO_SUPERVISOR).to_problem()


SUPERVISOR = Check(
    "Galley's background process runs", lambda facts: facts.is_running, _check_supervisor
)


def _is_served(facts: Facts) -> bool:
    return facts.is_running and facts.status is not None


def _check_socket(facts: Facts) -> Problem | None:
    if ping(lambda: connect(facts.home.docker_socket, own=True)):
        return None
    return EngineUnreachable(DIAGNOSE_ENDPOINT_SILENT, socket=facts.home.docker_socket).to_problem()


SOCKET = Check("The engine answers on the docker socket", _is_served, _check_socket)


def _check_daemon_json(facts: Facts) -> Problem | None:
    problem = daemon_json.check(daemon_json.read(facts.home))
    if problem is not None or not facts.is_running:
        return problem
    return daemon_json.refusal(Console(MachineDir.of(facts.home).console_log).lines())


DAEMON_JSON = Check(
    "daemon.json is active", lambda facts: facts.home.daemon_config.exists(), _check_daemon_json
)


def _uses_context(facts: Facts) -> bool:
    return facts.was_started and facts.settings is not None and facts.settings.use_context


def _check_client(facts: Facts) -> Problem | None:
    if docker_cli() is None:
        return ToolMissing(DIAGNOSE_NO_DOCKER).to_problem()
    given, ours = os.environ.get("DOCKER_HOST"), context.endpoint(facts.home)
    if given and given != ours:
        return HostError(DIAGNOSE_DOCKER_HOST, given=given).to_problem()
    chosen, name = os.environ.get("DOCKER_CONTEXT"), context.context_name(facts.home)
    if given or (chosen == name if chosen else context.is_current(facts.home)):
        return None
    return HostError(DIAGNOSE_OTHER_CONTEXT, name=name).to_problem()


CLIENT = Check("`docker` on this computer uses Galley", _uses_context, _check_client)


def _uses_keyring(facts: Facts) -> bool:
    return facts.was_started and facts.settings is not None and facts.settings.use_keyring


def _check_logins(facts: Facts) -> Problem | None:
    """On a computer without a keyring there is a choice to make; the hint describes it."""
    del facts
    error = why_not()
    return error.to_problem() if error else None


LOGINS = Check("Registry logins are stored in the keyring", _uses_keyring, _check_logins)


def _publishes_ports(facts: Facts) -> bool:
    return facts.status is not None and bool(facts.status.ports)


def _check_ports(facts: Facts) -> Problem | None:
    assert facts.status is not None
    return next((port.problem for port in facts.status.ports if port.problem), None)


PORTS = Check("Every published port is open", _publishes_ports, _check_ports)
