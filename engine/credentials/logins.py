"""The registry logins of this computer, in whichever store docker has them; makes Galley that
store.

    config.json   "credsStore": "galley"    docker runs `docker-credential-galley`: the keyring
                  "credHelpers": {…}        other programs for some servers; the user's, left alone
                  "auths": {…}              plain text, where there is no credsStore

A credsStore makes every pull fail where its program is not found, and hides logins in plain text.
So it is set only where the program is on PATH, the keyring is usable now, and nothing would be
hidden. `why_not` returns what prevents it. Only the helper accesses the keyring, a process of its
own that can be ended. Next: `keyring.py`.
"""

import base64
import binascii
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec

from engine.credentials.helper import PROGRAM, STORE, ask
from engine.dockercli import config_json, context
from engine.dockercli.tools import own_folder
from engine.messages.host import LOGINS_HELPER_NOT_FOUND, LOGINS_NOT_LISTED, LOGINS_PLAIN
from vm.errors import GalleyError, HostError
from vm.host.paths import Home


class RegistryLogin(msgspec.Struct, frozen=True):
    """`store`: the helper that keeps it, "" for docker's plain file."""

    server: str
    username: str
    store: str


def logins() -> tuple[RegistryLogin, ...]:
    """All that docker would find. Raises HostError."""
    config = config_json.read()
    found: dict[str, RegistryLogin] = {}
    for server, entry in _plain(config).items():
        found[server] = RegistryLogin(server, entry[0], "")
    store = str(config.get("credsStore") or "")
    if store:
        found |= {s: RegistryLogin(s, name, store) for s, name in _ask_list(store).items()}
    for server, helper in _dict(config, "credHelpers").items():
        name = _ask_list(str(helper)).get(server)
        if name is not None:
            found[server] = RegistryLogin(server, name, str(helper))
    return tuple(found[server] for server in sorted(found))


def add(server: str, username: str, secret: str) -> None:
    """Keep a login where docker will look for it, which is never a plain file."""
    if not _store_of(server):
        keep_with_us()
    _put(_store_of(server), server, username, secret)


def erase(server: str) -> None:
    store = _store_of(server)
    if store:
        ask(store, "erase", server)
    config_json.change(lambda config: _dict(config, "auths").pop(server, None))


def move_plain() -> tuple[str, ...]:
    """Move the logins of the plain file into docker's store. Returns their servers."""
    plain = _plain(config_json.read())
    if not has_store():
        _raise(_why_unusable())
    for server, (username, secret) in plain.items():
        _put(_store_of(server) or STORE, server, username, secret)

    def edit(config: dict[str, Any]) -> None:
        left = _plain(config)
        for server, login in plain.items():
            if left.get(server) == login:  # not a newer one, which was not moved
                config["auths"][server] = {}  # as docker leaves it
        _let_us_keep(config)

    config_json.change(edit)
    return tuple(plain)


def follow(home: Home, wanted: bool) -> None:
    """Apply the setting, at a start and when it changes. Raises what prevents it."""
    if not wanted:
        leave(home, also_others=True)
    else:
        keep_with_us()


def why_not() -> GalleyError | None:
    """Why docker cannot keep logins in the keyring; None where it can, or where docker has a store
    already, whichever."""
    config = config_json.read()
    store = config.get("credsStore")
    if store and store != STORE:
        return None
    plain = _plain(config)
    if plain and not store:
        return HostError(
            LOGINS_PLAIN,
            files=", ".join(plain),
        )
    return _why_unusable()


def has_store() -> bool:
    """Whether docker keeps new logins elsewhere than in its plain file."""
    return bool(config_json.read().get("credsStore"))


def keep_with_us() -> None:
    """Make the keyring docker's store, unless it has one. Raises what prevents it."""
    if has_store():
        return
    _raise(why_not())
    config_json.change(_let_us_keep)


def leave(home: Home, *, also_others: bool = False) -> None:
    """Stop being docker's store; the logins stay in the keyring. All Galleys of this user share the
    store, so the last one removes it."""

    def edit(config: dict[str, Any]) -> None:
        if config.get("credsStore") == STORE and (also_others or not context.others(home)):
            del config["credsStore"]

    config_json.change(edit)


def _let_us_keep(config: dict[str, Any]) -> None:
    if not config.get("credsStore"):
        config["credsStore"] = STORE


def _why_unusable() -> GalleyError | None:
    problem = _why_unreachable()
    if problem is not None:
        return problem
    try:
        ask(STORE, "check")
    except GalleyError as error:
        return error
    return None


def _why_unreachable() -> HostError | None:
    """A virtual environment that is active here is not active elsewhere, so it does not count."""
    ours = own_folder()
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if sys.prefix != sys.base_prefix:
        folders = [folder for folder in folders if folder and Path(folder) != ours]
    if shutil.which(PROGRAM, path=os.pathsep.join(folders)):
        return None
    return HostError(
        LOGINS_HELPER_NOT_FOUND,
        program=PROGRAM,
        link=ours / PROGRAM,
    )


def _store_of(server: str) -> str:
    config = config_json.read()
    return str(_dict(config, "credHelpers").get(server) or config.get("credsStore") or "")


def _put(store: str, server: str, username: str, secret: str) -> None:
    login = {"ServerURL": server, "Username": username, "Secret": secret}
    ask(store, "store", json.dumps(login))


def _ask_list(store: str) -> dict[str, str]:
    try:
        found = json.loads(ask(store, "list"))
        return {str(server): str(name) for server, name in found.items()}
    except (ValueError, AttributeError) as error:
        raise HostError(LOGINS_NOT_LISTED, store=store, details=str(error)) from error


def _plain(config: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """User name and secret at each server of the plain file; entries without a secret are docker's
    own marks of logins that are elsewhere."""
    found = {}
    for server, entry in _dict(config, "auths").items():
        if not isinstance(entry, dict):
            continue
        if entry.get("identitytoken"):
            found[server] = ("<token>", str(entry["identitytoken"]))
        elif entry.get("username") and entry.get("password"):
            found[server] = (str(entry["username"]), str(entry["password"]))
        elif entry.get("auth"):
            try:
                name, _, secret = base64.b64decode(str(entry["auth"])).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                continue
            found[server] = (name, secret.rstrip("\0"))
    return found


def _dict(config: dict[str, Any], key: str) -> dict[str, Any]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def _raise(error: GalleyError | None) -> None:
    if error is not None:
        raise error
