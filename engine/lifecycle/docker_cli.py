"""Sets up the docker command line of this user for the engine: a context, logins, proxies.

Each is written when the engine has started and removed when its machine is deleted. Next:
`engine/dockercli/context.py`, `engine/credentials/logins.py`.
"""

import logging

from engine.credentials import logins
from engine.dockercli import context
from engine.provisioning import docker_config_proxies
from engine.provisioning.proxies import Proxies
from engine.settings.store import SettingsStore
from vm.errors import GalleyError, Problem
from vm.host.paths import Home

log = logging.getLogger(__name__)


class DockerCliSetup:
    """`problems`: why docker has no context for the engine."""

    def __init__(self, home: Home, settings: SettingsStore) -> None:
        self._home = home
        self._settings = settings
        self.problems: tuple[Problem, ...] = ()

    def make_context(self) -> None:
        """Make the context if the settings enable it. Never raises: an error becomes the
        problem."""
        problem = None
        if self._settings.current().use_context:
            try:
                problem = context.ensure(self._home)
            except GalleyError as error:
                problem = error.to_problem()
        self.problems = (problem,) if problem else ()

    def keep_logins(self) -> None:
        """Keep logins in the keyring or not, by the settings. A failure does not keep the engine
        from starting; `galley diagnose` reports it."""
        try:
            logins.follow(self._home, self._settings.current().use_keyring)
        except GalleyError as error:
            log.info("logins stay where docker keeps them: %s", error)

    def remove(self) -> None:
        """Raises HostError when docker's files cannot be used."""
        context.remove(self._home)
        docker_config_proxies.follow(self._home, Proxies())
        logins.leave(self._home)
