"""Secrets in the keyring of this computer: Secret Service, Keychain, Credential Manager.

docker waits for this at every pull, so reading a login imports nothing that it can do without. All
of it is in the keyring:

    service "Docker login"    account SERVER      {"Username": …, "Secret": …}
    service "Docker logins"   account "servers"   {SERVER: user name, …}: a keyring cannot be listed
    service "Galley proxy"    account ADDRESS     its password; the address names the user

The keyring is the system's own, or the one that the user has named to the `keyring` package
(PYTHON_KEYRING_BACKEND, keyringrc.cfg). That package's default could be a plain file, so it is
not used. Next: `engine/cli/docker_credential.py`, the only caller for logins.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

    from vm.errors import KeyringUnusable

ENTRY, LIST, SERVERS = "Docker login", "Docker logins", "servers"
PROXY = "Galley proxy"
WINDOWS_ROOM = 2560  # bytes of UTF-16 in an entry of Windows' Credential Manager
PATIENCE = 60.0  # seconds: a locked keyring may prompt for its password
_SYSTEM = {
    "darwin": "keyring.backends.macOS.Keyring",
    "win32": "keyring.backends.Windows.WinVaultKeyring",
}
# Errors that mean that there is no keyring: no backend, an unknown backend, no bus.
_ABSENT = (RuntimeError, ImportError, AttributeError, ValueError, FileNotFoundError)
_SECRET_SERVICE = "keyring.backends.SecretService.Keyring"


class Login(NamedTuple):
    """`secret`: a password or a token. Docker's user name for an identity token is "<token>"."""

    username: str
    secret: str


class Logins:
    """Every method raises KeyringUnusable, at the latest after `patience` seconds. `folder`: has
    the lock of writers."""

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        self._folder = folder
        self._patience = patience

    def get(self, server: str) -> Login | None:
        return self._ask(lambda ring: _login(ring.get_password(ENTRY, server)))

    def store(self, server: str, login: Login) -> None:
        """Replaces an earlier login at this server."""
        entry = json.dumps({"Username": login.username, "Secret": login.secret})

        def work(ring: "KeyringBackend") -> None:
            with self._alone():
                servers = json.dumps({**_listed(ring), server: login[0]})
                _refuse_long(ring, ENTRY, entry)
                _refuse_long_list(ring, servers)
                ring.set_password(ENTRY, server, entry)
                ring.set_password(LIST, SERVERS, servers)

        self._ask(work)

    def erase(self, server: str) -> None:
        """No error without one: docker also logs out of servers for which it has no login."""

        def work(ring: "KeyringBackend") -> None:
            with self._alone():
                if ring.get_password(ENTRY, server) is not None:
                    ring.delete_password(ENTRY, server)
                left = _listed(ring)
                if left.pop(server, None) is not None:
                    ring.set_password(LIST, SERVERS, json.dumps(left))

        self._ask(work)

    def list(self) -> dict[str, str]:
        """The user name at each server."""
        return self._ask(_listed)

    def check(self) -> None:
        """Raises if the keyring cannot be used now, without a prompt for a password."""
        self._ask(_refuse_locked)

    def proxy(self, address: str) -> str | None:
        """The password for a proxy, without a prompt for the keyring's."""

        def work(ring: "KeyringBackend") -> str | None:
            _refuse_locked(ring)
            return ring.get_password(PROXY, address)

        return self._ask(work)

    def store_proxy(self, address: str, password: str) -> None:
        def work(ring: "KeyringBackend") -> None:
            _refuse_long(ring, PROXY, password)
            ring.set_password(PROXY, address, password)

        self._ask(work)

    def erase_proxy(self, address: str) -> None:
        """No error without one."""

        def work(ring: "KeyringBackend") -> None:
            _refuse_locked(ring)
            if ring.get_password(PROXY, address) is not None:
                ring.delete_password(PROXY, address)

        self._ask(work)

    def _ask[T](self, work: Callable[["KeyringBackend"], T]) -> T:
        """Run `work` in a thread, because a keyring that prompts its user cannot be interrupted."""
        outcome: list[T | KeyringUnusable] = []

        def run() -> None:
            try:
                with _explained():
                    outcome.append(work(_keyring()))
            except kind_of_error() as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self._patience)
        if not outcome:
            raise _silent(self._patience)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two concurrent logins would lose one of them from the list."""
        from vm.host.lock import FileLock

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self._folder / "galley-logins.lock"):
            yield


def kind_of_error() -> "type[KeyringUnusable]":
    """The base class of its errors. A callable, so that the import is made only after an error."""
    from vm.errors import KeyringUnusable

    return KeyringUnusable


def _keyring() -> "KeyringBackend":
    from keyring import core

    ring = core.load_env() or core.load_config()
    if ring is None:
        ring = core.load_keyring(_SYSTEM.get(sys.platform, _SECRET_SERVICE))
    if ring.priority <= 0:  # the backends that refuse every call, or store nothing
        raise RuntimeError(f"{ring} keeps nothing")
    return ring


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """The keyring's errors as sentences."""
    try:
        yield
    except _ABSENT as error:
        from engine.messages.host import KEYRING_NONE, KEYRING_REFUSED
        from vm.errors import KeyringUnusable, Retry

        raise KeyringUnusable(
            KEYRING_NONE,
            details=str(error),
            retry=Retry.NO,
        ) from error
    except _failures() as error:
        from engine.messages.host import KEYRING_NONE, KEYRING_REFUSED
        from vm.errors import KeyringUnusable

        if "Prompt dismissed" in str(error) or type(error).__name__ == "KeyringLocked":
            raise _locked(str(error)) from error
        raise KeyringUnusable(
            KEYRING_REFUSED,
            error=error,
            details=f"{type(error).__name__}: {error}",
        ) from error


def _failures() -> tuple[type[Exception], ...]:
    """Evaluated only after an error, so that a success imports nothing for it."""
    from keyring.errors import KeyringError

    own: tuple[type[Exception], ...] = ()  # of what the system's backend calls
    if sys.platform == "win32":
        from win32ctypes.pywin32.pywintypes import error

        own = (error,)
    elif sys.platform != "darwin":
        from jeepney import DBusErrorResponse  # type: ignore[import-untyped]  # it has no types
        from secretstorage import SecretStorageException

        own = (SecretStorageException, DBusErrorResponse)
    return (KeyringError, *own, OSError)


def _silent(seconds: float) -> "KeyringUnusable":
    from engine.messages.host import KEYRING_SILENT
    from vm.errors import KeyringUnusable, Retry

    return KeyringUnusable(
        KEYRING_SILENT,
        seconds=seconds,
        retry=Retry.YES,
    )


def _locked(details: str = "") -> "KeyringUnusable":
    from engine.messages.host import KEYRING_LOCKED
    from vm.errors import KeyringUnusable, Retry

    return KeyringUnusable(
        KEYRING_LOCKED,
        details=details,
        retry=Retry.YES,
    )


def _refuse_locked(ring: "KeyringBackend") -> None:
    """Only a Secret Service can be queried, and only it may exist without a keyring: none is
    created before the first login to a desktop."""
    if type(ring).__module__ != "keyring.backends.SecretService":
        return
    import secretstorage

    with contextlib.closing(secretstorage.dbus_init()) as bus:
        try:
            locked = secretstorage.Collection(bus).is_locked()
        except secretstorage.ItemNotFoundException as error:
            raise _locked(str(error)) from error
    if locked:
        raise _locked()


def _refuse_long(ring: "KeyringBackend", kind: str, secret: str) -> None:
    """Before Windows does, with an unhelpful message."""
    if not _has_room(ring, secret):
        from engine.messages.host import KEYRING_LOGIN_TOO_LONG, KEYRING_PROXY_TOO_LONG
        from vm.errors import KeyringUnusable, Retry

        raise KeyringUnusable(
            KEYRING_PROXY_TOO_LONG if kind == PROXY else KEYRING_LOGIN_TOO_LONG,
            details=f"It takes {WINDOWS_ROOM // 2} characters.",
            retry=Retry.NO,
        )


def _refuse_long_list(ring: "KeyringBackend", servers: str) -> None:
    if not _has_room(ring, servers):
        from engine.messages.host import KEYRING_WINDOWS_FULL
        from vm.errors import KeyringUnusable, Retry

        raise KeyringUnusable(
            KEYRING_WINDOWS_FULL,
            retry=Retry.NO,
        )


def _has_room(ring: "KeyringBackend", text: str) -> bool:
    is_limited = type(ring).__module__ == "keyring.backends.Windows"
    return not is_limited or len(text.encode("utf-16-le", "surrogatepass")) <= WINDOWS_ROOM


def _login(entry: str | None) -> Login | None:
    """An unreadable entry is no login: docker asks for a new one."""
    try:
        found = json.loads(entry or "")
        return Login(str(found["Username"]), str(found["Secret"]))
    except (ValueError, TypeError, KeyError):
        return None


def _listed(ring: "KeyringBackend") -> dict[str, str]:
    try:
        found = json.loads(ring.get_password(LIST, SERVERS) or "{}")
    except ValueError:
        return {}
    return {str(key): str(name) for key, name in found.items()} if isinstance(found, dict) else {}
