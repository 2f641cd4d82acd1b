"""`docker-credential-galley`: docker's protocol for programs that keep logins, over the keyring.

    get      a server on standard input → {"ServerURL": …, "Username": …, "Secret": …}
    store    {"ServerURL": …, "Username": …, "Secret": …} on standard input
    erase    a server on standard input
    list     → {server: user name, …}
    version
    check    ours: whether the keyring can be used now, without a prompt
    proxy-get, proxy-erase    ours: a proxy's address on standard input → its password, in JSON
    proxy-store               ours: {"Address": …, "Password": …} on standard input

Errors go to standard output, with exit code 1; docker recognizes some of them word by word. docker
waits for this program, so it imports little. Next: `engine/credentials/keyring.py`.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from engine import __version__
from engine.credentials.keyring import Login, Logins, kind_of_error
from engine.dockercli import config_json

if TYPE_CHECKING:
    from vm.errors import KeyringUnusable

AS_DATA = "GALLEY_CREDENTIAL_ERRORS_AS_DATA"  # set by `engine/credentials/helper.py`
NOT_FOUND = "credentials not found in native keychain"
NO_SERVER = "no credentials server URL"
NO_USERNAME = "no credentials username"


class Refused(Exception):
    """Its message is shown by docker, or recognized by it."""


def main() -> NoReturn:
    """Exits without Python's cleanup, which would take a fifth of the time that docker waits."""
    code = _answer()
    sys.stdout.flush()
    os._exit(code)


def _answer() -> int:
    try:
        answer = _serve(Logins(config_json.folder()), sys.argv[1:], _read)
    except Refused as error:
        return _print(str(error), 1)
    except kind_of_error() as error:
        return _print(_error_text(error), 1)
    return _print(answer, 0)


def _error_text(error: "KeyringUnusable") -> str:
    """Two lines for docker, which shows them; a `Problem` as JSON for Galley itself."""
    if AS_DATA in os.environ:
        import msgspec

        return msgspec.json.encode(error.to_problem()).decode()
    return f"{error.summary}\n{error.hint}".strip()


def _serve(logins: Logins, words: list[str], read: Callable[[], str]) -> str:
    match words:
        case ["get"]:
            return _get(logins, _server(read()))
        case ["store"]:
            logins.store(*_given(read()))
        case ["erase"]:
            logins.erase(_server(read()))
        case ["list"]:
            return json.dumps(logins.list())
        case ["check"]:
            logins.check()
        case [("proxy-get" | "proxy-store" | "proxy-erase") as action]:
            return _proxy(logins, action, read())
        case ["version"]:
            return f"docker-credential-galley (Galley) {__version__}"
        case [unknown]:
            raise Refused(f"Unknown credential action `{unknown}`")
        case _:
            raise Refused("Usage: docker-credential-galley <store|get|erase|list|version>")
    return ""


def _get(logins: Logins, server: str) -> str:
    login = logins.get(server)
    if login is None:
        raise Refused(NOT_FOUND)
    found = {"ServerURL": server, "Username": login.username, "Secret": login.secret}
    return json.dumps(found)


def _proxy(logins: Logins, action: str, given: str) -> str:
    match action:
        case "proxy-get":
            if (password := logins.proxy(given)) is None:
                raise Refused(NOT_FOUND)
            return json.dumps(password)
        case "proxy-store":
            found = json.loads(given)
            logins.store_proxy(found["Address"], found["Password"])
        case _:
            logins.erase_proxy(given)
    return ""


def _given(text: str) -> tuple[str, Login]:
    try:
        found = json.loads(text)
        keys = ("ServerURL", "Username", "Secret")
        server, username, secret = (str(found.get(key) or "") for key in keys)
    except (ValueError, AttributeError) as error:
        raise Refused(f"this is no login in JSON: {error}") from error
    if not username:
        raise Refused(NO_USERNAME if server else NO_SERVER)
    return _server(server), Login(username, secret)


def _server(text: str) -> str:
    if not text.strip():
        raise Refused(NO_SERVER)
    return text.strip()


def _read() -> str:
    return sys.stdin.buffer.read().decode(errors="replace")


def _print(text: str, code: int) -> int:
    """Always UTF-8, whatever the locale, since docker expects that."""
    if text:
        sys.stdout.buffer.write(f"{text}\n".encode())
    return code


if __name__ == "__main__":
    main()
