"""The proxies that dockerd and containers use: this computer's, or those of the settings.

From inside the machine, an address on this computer's loopback is the machine's host; that host
itself is never reached through a proxy. An address of a proxy that requires a login has a user name
and no password, and the machine reaches it through the forwarder that logs in. Next:
`proxy_auth_forwarder.py`, `provisioning.py`, `engine/admission/additions.py`.
"""

import contextlib
import ipaddress
import json
import os
import socket
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from engine.credentials import proxy_password
from engine.messages.guest import PROXY_BAD_ADDRESS, PROXY_NO_PASSWORD, PROXY_SILENT
from engine.provisioning import daemon_json, gnome_proxy
from engine.settings import proxy_address
from engine.settings.store import SettingsStore
from vm.errors import HostError, Problem, SettingsError

NEVER = ("localhost", "127.0.0.1", "::1", "host.docker.internal", "gateway.docker.internal")
PATIENCE = 2.0  # seconds for a proxy to take a connection
DEFAULT_PORT = 80


class Proxies(msgspec.Struct, frozen=True):
    """The addresses from this computer's view; "" without one. `no_proxy`: names between commas.
    `login_port`: the port of this computer that forwards to proxies with a login; 0 for none."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""
    login_port: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, (self.http, self.https))))

    @property
    def with_login(self) -> tuple[str, ...]:
        return tuple(filter(proxy_address.wants_login, self.addresses))

    @property
    def loopback_ports(self) -> tuple[int, ...]:
        """Of this computer's loopback, for those that the machine reaches there."""
        host = _machines_host()
        inside = [urlsplit(self._inside(address, host)) for address in self.addresses]
        found = {parts.port or DEFAULT_PORT for parts in inside if parts.hostname == host}
        return tuple(sorted(found))

    def bypasses(self, host: str, port: int) -> bool:
        """Whether programs of this computer reach the host without a proxy."""
        name = host.lower().rstrip(".")
        never = (*NEVER, *self.no_proxy.lower().split(","))
        return _is_loopback(name) or any(_covers(one.strip(), name, port) for one in never)

    def named(self, http: str, https: str, no_proxy: str) -> dict[str, str]:
        """As the machine uses them, by the names that are given here; {} where there is none."""
        if not self.addresses:
            return {}
        host = _machines_host()
        never = dict.fromkeys(filter(None, (*NEVER, host, *self.no_proxy.split(","))))
        inside = {http: self._inside(self.http, host), https: self._inside(self.https, host)}
        return {name: url for name, url in inside.items() if url} | {no_proxy: ",".join(never)}

    def _inside(self, address: str, host: str) -> str:
        """The same proxy as the machine sees it."""
        if proxy_address.wants_login(address):
            return f"http://{host}:{self.login_port}" if self.login_port else ""
        parts = urlsplit(address)
        if not _is_loopback(str(parts.hostname)):
            return address
        port = "" if parts.port is None else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"

    def variables(self) -> dict[str, str]:
        """For the environment of a program in the machine. Some read small letters, some capital
        ones."""
        small = self.named("http_proxy", "https_proxy", "no_proxy")
        return {name.upper(): value for name, value in small.items()} | small


def wanted(settings: SettingsStore) -> tuple[Proxies, Problem | None]:
    """The current proxies, and why one of this computer's is not used."""
    now = settings.current()
    match now.proxy:
        case "manual":
            return Proxies(now.http_proxy, now.https_proxy, now.no_proxy), None
        case "system":
            return of_system(_found())
    return Proxies(), None


def _found() -> dict[str, str]:
    """This computer's settings, by protocol; "no" for the exceptions."""
    if sys.platform in ("win32", "darwin"):
        import urllib.request  # 4 MB of memory, which elsewhere nothing needs

        found = urllib.request.getproxies()
    else:
        own = of_environment(os.environ)
        found = own if own.keys() & {"http", "https"} else gnome_proxy.found() | own
    return found


def of_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """As most programs on Linux read it: small letters before capital ones."""
    found: dict[str, str] = {}
    for name in sorted(variables):  # capital letters come first
        if name.lower().endswith("_proxy") and variables[name]:
            found[name.lower().removesuffix("_proxy")] = variables[name]
    return found


def of_system(found: dict[str, str]) -> tuple[Proxies, Problem | None]:
    """From this computer's settings, by protocol."""
    problem = None
    usable = {}
    for protocol in ("http", "https"):
        try:
            given = proxy_address.parse(found.get(protocol, ""))
            usable[protocol], _ = proxy_address.split(given)
        except SettingsError as error:
            problem = error.to_problem()
        except ValueError:
            problem = HostError(
                PROXY_BAD_ADDRESS,
                protocol=protocol,
            ).to_problem()
    no_proxy = ",".join(filter(None, map(str.strip, found.get("no", "").split(","))))
    return Proxies(usable.get("http", ""), usable.get("https", ""), no_proxy), problem


def password(address: str) -> str:
    """For a proxy that requires a login: from this computer's settings, else from the keyring.
    Raises KeyringUnusable, HostError."""
    for given in _found().values():
        with contextlib.suppress(ValueError, SettingsError):
            same, found = proxy_address.split(proxy_address.parse(given))
            if found and same == address:
                return found
    kept = proxy_password.find(address)
    if not kept:
        raise HostError(
            PROXY_NO_PASSWORD,
            address=address,
        )
    return kept


def connect(address: str, patience: float) -> socket.socket:
    """Raises HostError."""
    parts = urlsplit(address)
    try:
        return socket.create_connection((str(parts.hostname), parts.port or DEFAULT_PORT), patience)
    except OSError as error:
        reason = str(error.strerror or error).lower()
        raise HostError(
            PROXY_SILENT,
            address=address,
            reason=reason,
            details=reason,
        ) from error


def why_down(proxies: Proxies) -> Problem | None:
    """The error for the first one that refuses connections now."""
    try:
        for address in proxies.addresses:
            connect(address, PATIENCE).close()
    except HostError as error:
        return error.to_problem()
    return None


def _covers(never: str, host: str, port: int) -> bool:
    """As curl and most programs read it: a name stands for those below it, too, with a point before
    it or without; `*` for all; a network for its addresses."""
    if never == "*":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(never, strict=False)
    try:
        parts = urlsplit(f"//{never}")
        name, only = parts.hostname or "", parts.port
    except ValueError:
        return False
    if only not in (None, port):
        return False
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    name = name.removeprefix("*").removeprefix(".")
    return bool(name) and f".{host}".endswith(f".{name}")


def _machines_host() -> str:
    """The address by which the machine reaches this computer's loopback."""
    return str(json.loads(daemon_json.base())["host-gateway-ip"])


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
