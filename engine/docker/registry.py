"""Tries a login at a registry, through the engine.

dockerd does it, because dockerd will pull; some registries return a token, which is then stored
instead of the password.
"""

import re

import msgspec

from engine.docker.sdk import docker
from engine.docker.transport import Wire
from engine.docker.types import AcceptedLogin
from engine.messages.docker import REGISTRY_LOGIN_REFUSED
from vm.errors import EngineRefused

_TOKEN_USER = "<token>"  # docker's user name for a token
_DENIED = re.compile(r"unauthorized|denied|incorrect username or password", re.IGNORECASE)


class _Answer(msgspec.Struct):
    token: str = msgspec.field(name="IdentityToken", default="")


def login(wire: Wire, server: str, username: str, secret: str) -> AcceptedLogin:
    """Raises EngineRefused where the registry does not take it."""
    key = server_key(server)
    given = {"username": username, "password": secret, "serveraddress": key}
    try:
        answer = msgspec.json.decode(wire.post("/auth", given), type=_Answer)
    except EngineRefused as error:
        if not _DENIED.search(error.details or error.summary):
            raise
        raise EngineRefused(
            REGISTRY_LOGIN_REFUSED,
            server=server or docker.auth.INDEX_NAME,
            details=error.details or error.summary,
        ) from error
    if answer.token:
        return AcceptedLogin(key, _TOKEN_USER, answer.token)
    return AcceptedLogin(key, username, secret)


def server_key(server: str) -> str:
    """The name under which docker looks for a login: the host, or an address for the default."""
    host: str = docker.auth.resolve_index_name(server.strip().lower() or docker.auth.INDEX_NAME)
    hub: str = docker.auth.INDEX_URL
    return hub if host in (docker.auth.INDEX_NAME, "registry-1.docker.io") else host
