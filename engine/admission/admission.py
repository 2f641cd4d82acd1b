"""Checks and completes a request for the bridge, before dockerd sees it.

`Admission` decodes the body of a creation once, lets each rule of this folder read and change the
typed value, and writes the changes into the original bytes. Starts go to `engine/ports/starts.py`,
swarms also to `engine/lifecycle/swarm_mode.py`. A body that dockerd refuses goes on as it is, and
one that only dockerd might be able to read is refused here, so nothing passes unchecked. Next:
`create_request.py`, `engine/shares/binds.py`, `engine/bridge/pump.py`, which calls it.
"""

import posixpath
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from engine.admission import additions
from engine.admission.create_request import (
    CreateContainer,
    CreateService,
    HostConfig,
    InitSwarm,
    Mount,
)
from engine.admission.go_json import Document, read
from engine.json_input import UNREADABLE
from engine.messages.guest import BINDS_UNREADABLE
from engine.ports.services import ServiceSpec
from engine.shares import binds
from engine.shares.binds import Sharing
from vm.errors import NotShared

Answered = Callable[[], None]
"""To be called when dockerd has answered, before the client sees the answer."""


class Starts(Protocol):
    """What is needed of `engine.ports.starts.Starts`."""

    def about_to(self, container: str) -> Answered | None: ...
    def about_to_serve(self, spec: ServiceSpec) -> Answered | None: ...
    def settle(self) -> None: ...


class Folders(Protocol):
    """`engine.shares.shared_folders.SharedFolders`."""

    def sharing(self) -> Sharing:
        """What is shared now."""


class Proxied(Protocol):
    """`engine.provisioning.provisioning.Configuration`."""

    def proxy_variables(self) -> Mapping[str, str]:
        """The proxies' environment variables now."""


class Swarming(Protocol):
    """`engine.lifecycle.swarm_mode.SwarmMode`."""

    def about_to(self, verb: str) -> Answered | None:
        """Prepares dockerd to "init", "join" or "leave" a swarm. Raises GalleyError."""


class Admission:
    """Any thread."""

    def __init__(
        self, folders: Folders, proxied: Proxied, starts: Starts, swarming: Swarming
    ) -> None:
        self._folders = folders
        self._proxied = proxied
        self._starts = starts
        self._swarming = swarming

    def create_container(self, body: bytes) -> bytes:
        """The body to send to dockerd. Raises NotShared."""
        document = _document(body, CreateContainer)
        if document is None:
            return body
        request = document.value
        host = _shared(request.host, self._folders.sharing())
        host = additions.with_certificates(request.image, host)
        env = additions.with_variables(request.env, self._proxied.proxy_variables())
        return document.encode(msgspec.structs.replace(request.with_host(host), env=env))

    def create_service(self, body: bytes) -> tuple[bytes, Answered | None]:
        """The body to send for a service that is created or updated. Its ports are reserved until
        `Answered` is called. Raises NotShared, PortInUse, BackendFailed."""
        document = _document(body, CreateService)
        if document is None:
            return body, None
        request = document.value
        if (container := request.container) is not None:
            mounts = _shared_mounts(container.mounts, self._folders.sharing())
            env = additions.with_variables(container.env, self._proxied.proxy_variables())
            container = msgspec.structs.replace(container, mounts=mounts, env=env)
            request = request.with_container(container)
        return document.encode(request), self._starts.about_to_serve(request.spec)

    def init_swarm(self, body: bytes) -> bytes:
        """The body to send to dockerd."""
        try:
            document = read(body, InitSwarm)
        except UNREADABLE:  # for dockerd to refuse
            return body
        return document.encode(additions.with_pool(document.value))

    def start(self, container: str) -> Answered | None:
        """Before a start or restart of `container`. Raises NotShared, PortInUse, BackendFailed."""
        return self._starts.about_to(container)

    def settle(self) -> None:
        """Returns when the ports of every container that runs now are open."""
        self._starts.settle()

    def swarm(self, verb: str) -> Answered | None:
        """Before dockerd handles "init", "join" or "leave" of a swarm. Raises GalleyError."""
        return self._swarming.about_to(verb)


def _shared(host: HostConfig, sharing: Sharing) -> HostConfig:
    """`host` with the guest's paths. Raises NotShared."""
    binds_there = tuple(binds.checked(bind, sharing) for bind in host.binds)
    mounts = _shared_mounts(host.mounts, sharing)
    return msgspec.structs.replace(host, binds=binds_there, mounts=mounts)


def _shared_mounts(mounts: tuple[Mount, ...], sharing: Sharing) -> tuple[Mount, ...]:
    return tuple(_shared_mount(mount, sharing) for mount in mounts)


def _shared_mount(mount: Mount, sharing: Sharing) -> Mount:
    if not mount.is_bind or not mount.source.startswith("/"):
        return mount
    there = binds.resolve(mount.source, sharing, make=mount.makes_source)
    is_same = there == posixpath.normpath(mount.source)
    return mount if is_same else msgspec.structs.replace(mount, source=there)


def _document[V: msgspec.Struct](body: bytes, kind: type[V]) -> Document[V] | None:
    """None for a body that dockerd refuses: no object, or a field of another type. Raises NotShared
    for an object that Galley cannot read and dockerd may be able to."""
    try:
        return read(body, kind)
    except msgspec.ValidationError:
        return None
    except UNREADABLE as error:
        if not body.lstrip().startswith(b"{"):
            return None
        raise NotShared(
            BINDS_UNREADABLE,
            error=error,
        ) from error
