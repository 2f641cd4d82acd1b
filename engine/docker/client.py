"""A client of one Docker Engine, for the window.

Thread-safe: each request takes a connection from the SDK's pool, and a stream holds one until it
ends. Each kind of object has a module of its own, whose class is an attribute here. Next:
`containers.py`, `streams.py`.
"""

import contextlib
import urllib.parse
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from engine.docker import local, system, tls
from engine.docker.cancel import Cancel
from engine.docker.containers import Containers
from engine.docker.errors import answering
from engine.docker.sdk import docker
from engine.docker.ssh_relay import SshRelay
from engine.docker.transport import Wire
from engine.docker.types import AcceptedLogin, DiskUse, EngineInfo, Event
from engine.dockercli.endpoint import Endpoint
from engine.messages.docker import DOCKER_BAD_ADDRESS
from vm.errors import EngineUnreachable, GalleyError, Retry

if TYPE_CHECKING:  # a page that is never opened never loads its kind
    from engine.docker.files import Files
    from engine.docker.images import Images
    from engine.docker.networks import Networks
    from engine.docker.volumes import Volumes

NEWEST_API = "1.47"  # the newest that was tested; newer engines still support it
OLDEST_API = "1.24"
CONNECTIONS = 32  # kept for reuse; more may be open at once


class DockerClient:
    """Connects when it is made, to agree on a version. Raises EngineUnreachable."""

    def __init__(self, endpoint: Endpoint, timeout: float = 60.0) -> None:
        self.endpoint = endpoint
        self._relay = SshRelay(endpoint) if endpoint.scheme == "ssh" else None
        try:
            near = endpoint if self._relay is None else self._relay.open()
            self.api = _agreed_api(near, timeout)
        except GalleyError as error:
            if self._relay is None:
                raise
            self._relay.close()
            if isinstance(error, EngineUnreachable):
                raise self._relay.explained(error) from error
            raise
        self._wire = Wire(self.api)

    def ping(self) -> str:
        """The version of the API that is spoken."""
        if self._relay is not None:
            self._relay.open()
        with answering():
            answer = self.api.get(f"{self.api.base_url}/_ping", timeout=self.api.timeout)
            answer.raise_for_status()
        return self.api.api_version

    def info(self) -> EngineInfo:
        return system.info(self._wire)

    def login(self, server: str, username: str, secret: str) -> AcceptedLogin:
        """Try a login at the registry, through the engine. Returns what to store, which may be a
        token."""
        from engine.docker.registry import login

        return login(self._wire, server, username, secret)

    def disk_use(self) -> DiskUse:
        """Slow where there is much: dockerd walks every volume."""
        return system.disk_use(self._wire)

    def prune_build_cache(self) -> int:
        """The bytes that it took."""
        return system.prune_build_cache(self._wire)

    def events(self, since: float | None, cancel: Cancel) -> Iterator[Event]:
        return system.events(self._wire, since, cancel)

    def close(self) -> None:
        """Drop the idle connections. Streams end by their Cancel."""
        self.api.close()
        if self._relay is not None:
            self._relay.close()

    @cached_property
    def containers(self) -> Containers:
        return Containers(self.api)

    @cached_property
    def images(self) -> "Images":
        from engine.docker.images import Images

        return Images(self.api)

    @cached_property
    def volumes(self) -> "Volumes":
        from engine.docker.volumes import Volumes

        return Volumes(self.api)

    @cached_property
    def networks(self) -> "Networks":
        from engine.docker.networks import Networks

        return Networks(self.api)

    @cached_property
    def files(self) -> "Files":
        from engine.docker.files import Files

        return Files(self.api)


def _agreed_api(endpoint: Endpoint, timeout: float) -> docker.APIClient:
    """The newest API version that both sides support."""
    _check(endpoint)
    with answering():
        with contextlib.closing(_api(endpoint, OLDEST_API, timeout)) as first:
            head = first.head(f"{first.base_url}/_ping", timeout=timeout)
            head.raise_for_status()
        offered = head.headers.get("Api-Version", OLDEST_API)
        return _api(endpoint, min(offered, NEWEST_API, key=_number), timeout)


def _check(endpoint: Endpoint) -> None:
    """Raises EngineUnreachable for an invalid address, on which the SDK would fail with
    ValueError."""
    try:
        _ = urllib.parse.urlsplit(endpoint.url).port
    except ValueError as error:
        raise EngineUnreachable(
            DOCKER_BAD_ADDRESS,
            url=endpoint.url,
            error=error,
            retry=Retry.NO,
        ) from error


def _api(endpoint: Endpoint, version: str, timeout: float) -> docker.APIClient:
    api = docker.APIClient(
        endpoint.url,
        version=version,
        timeout=timeout,  # type: ignore[arg-type]  # the stubs allow whole seconds only
        tls=tls.config(endpoint) or False,
        max_pool_size=CONNECTIONS,
    )
    if endpoint.uses_tls:
        tls.mount(api, CONNECTIONS)
    if endpoint.scheme == "unix":
        local.mount(api, endpoint, timeout, CONNECTIONS)
    if endpoint.scheme in ("unix", "npipe"):
        api.trust_env = False  # no proxy leads there; looking for one costs time in each request
    return api


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
