"""Configures the machine from outside: daemon.json, proxies, certificates, and whether containers
reach this computer's loopback.

A starting machine has all of it as boot files, and reports on its console which ones, so that no
request is needed to compare. Where something has changed, the guest gets it and dockerd restarts,
once for all of it; containers keep running. Next: the modules for each.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from engine.provisioning import (
    certificates,
    daemon_json,
    docker_config_proxies,
    host_loopback,
    proxies,
    registry_certificates,
)
from engine.provisioning.proxies import Proxies
from engine.provisioning.proxy_auth_forwarder import ProxyLogin
from engine.settings.store import SettingsStore
from vm.backend import Backend
from vm.errors import GalleyError, Problem, SettingsError, from_problem
from vm.guest.protocol import Guest
from vm.host.paths import Home, unusable, write_atomic


class Configuration:
    """`problems`: the parts that are not in use, and why. Any thread."""

    def __init__(self, home: Home, settings: SettingsStore, backend: Backend) -> None:
        self._home = home
        self._settings = settings
        self._login = ProxyLogin(home, backend)
        self._lock = threading.Lock()
        self._refused: Problem | None = None
        self._lacking: tuple[Problem, ...] = ()
        self.proxies = Proxies()
        self._variables: dict[str, str] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*filter(None, [self._refused]), *self._lacking)

    def look(self, console: Sequence[str]) -> None:
        """Read from the console how a running machine has started."""
        self._refused = daemon_json.refusal(console)
        self._look_for_proxies()

    def close(self) -> None:
        """Close the forwarders to proxies."""
        self._login.close()

    def write_boot_files(self, folder: Path, image: Path) -> None:
        """Write the boot files of a machine that is about to start with `image`. What fails is left
        out, and `update_guest` reports it. Raises HomeUnusable, DiskFull."""
        with self._lock:
            self._look_for_proxies()
            loopback = host_loopback.wanted(self._settings, self.proxies)
            _write_boot_file(folder / host_loopback.BOOT_FILE, host_loopback.boot_file(loopback))
            _write_boot_file(folder / certificates.BOOT_FILE, certificates.wanted(image).pem)
            text = b""
            with contextlib.suppress(SettingsError):
                text = daemon_json.boot_file(self._daemon_config())
            _write_boot_file(folder / daemon_json.BOOT_FILE, text)

    def update_guest(
        self, guest: Guest, image: Path | None, console: Callable[[], Sequence[str]]
    ) -> None:
        """Send a running machine what has changed. Blocks while dockerd restarts. Never raises: a
        failure becomes one of the problems."""
        with self._lock:
            trusted, registries = certificates.wanted(image), registry_certificates.wanted()
            unusable = self._look_for_proxies()
            failures: list[Problem] = []
            must_restart = has_restarted = False
            lines = console()
            try:
                loopback = host_loopback.wanted(self._settings, self.proxies)
                host_loopback.update_guest(guest, loopback, lines)
            except GalleyError as error:
                failures.append(error.to_problem())
            try:
                must_restart = certificates.update_guest(guest, trusted.pem, lines)
                registry_certificates.update_guest(guest, registries.archive, lines)
            except GalleyError as error:
                failures.append(error.to_problem())
            try:
                has_restarted = daemon_json.update_guest(guest, self._daemon_config(), lines)
                self._refused = daemon_json.refusal(console())
            except GalleyError as error:
                self._refused = error.to_problem()
            try:
                if must_restart and not has_restarted:
                    daemon_json.restart(guest)
                if self._settings.current().use_context:
                    docker_config_proxies.follow(self._home, self.proxies)
            except GalleyError as error:
                failures.append(error.to_problem())
            down = unusable or proxies.why_down(self.proxies) or self._login.problem()
            left_out = (*trusted.problems, *registries.problems)
            self._lacking = (*failures, *left_out, *filter(None, [down]))

    def change(self, text: str, guest: Guest | None) -> None:
        """Replace daemon.json, if dockerd starts with it; without a guest, for the next start.
        Raises what `daemon_json.apply` raises."""
        problem = daemon_json.check(text)
        if problem is not None:
            raise from_problem(problem)
        with self._lock:
            if guest is not None:
                daemon_json.apply(guest, daemon_json.joined(text, self._named()))
            daemon_json.write(self._home, text)
            self._refused = None

    def live_restore(self, guest: Guest, wanted: Literal["off", "auto"]) -> None:
        """Raises what `daemon_json.live_restore` raises."""
        with self._lock:
            daemon_json.live_restore(guest, wanted)

    def forget(self) -> None:
        """Remove the user's daemon.json. Raises HomeUnusable."""
        daemon_json.forget(self._home)
        self._refused, self._lacking = None, ()

    def proxy_variables(self) -> dict[str, str]:
        """For the environment of a new container."""
        return self._variables

    def _look_for_proxies(self) -> Problem | None:
        """Read the current proxies. Returns why one of this computer's is not used."""
        wanted, problem = proxies.wanted(self._settings)
        self.proxies = self._login.follow(wanted)
        self._variables = self.proxies.variables()
        return problem

    def _daemon_config(self) -> str:
        return daemon_json.joined(daemon_json.read(self._home), self._named())

    def _named(self) -> dict[str, str]:
        """The proxies, by dockerd's names."""
        return self.proxies.named("http-proxy", "https-proxy", "no-proxy")


def _write_boot_file(file: Path, data: bytes) -> None:
    if data:
        write_atomic(file, data)
        return
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise unusable(file.parent, error) from error
