"""The user's daemon.json, which is merged over Galley's own configuration of dockerd.

    GALLEY_HOME/daemon.json                     the user's settings only; authoritative
    the machine's /run/galley/daemon.json       a copy, with this computer's proxies added, which
                                                the guest merges over its own when it starts
    guest/files/skeleton/etc/dockerd.json       Galley's own, `base()`

`check` validates without dockerd; `apply` tries it with dockerd, and changes nothing that dockerd
does not start with: the guest's `daemon-config` restores the old settings, also when the supervisor
has ended meanwhile. Next: `engine/engine.py`.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from engine.log_files import ENGINE_LOG
from engine.messages.settings import (
    DAEMON_JSON_CONTAINERD,
    DAEMON_JSON_DATA_ROOT,
    DAEMON_JSON_EXEC_ROOT,
    DAEMON_JSON_FILE_UNREADABLE,
    DAEMON_JSON_GROUP,
    DAEMON_JSON_HOSTS,
    DAEMON_JSON_IPTABLES,
    DAEMON_JSON_NO_OBJECT,
    DAEMON_JSON_OWNED,
    DAEMON_JSON_PIDFILE,
    DAEMON_JSON_SYNTAX,
    DAEMON_JSON_TLS,
    DAEMON_JSON_TOO_LONG,
    DAEMON_JSON_TWICE,
    DAEMON_JSON_UNREADABLE,
    DAEMON_JSON_USERNS_REMAP,
    DOCKERD_DOES_NOT_START,
    DOCKERD_GONE,
    DOCKERD_LIVE_RESTORE,
    DOCKERD_OLDER_MACHINE,
    DOCKERD_OLDER_MACHINE_SETTINGS,
    DOCKERD_SETTINGS_FAILED,
    DOCKERD_SETTINGS_REFUSED,
    DOCKERD_SILENT,
    DOCKERD_WITHOUT_DAEMON_JSON,
)
from vm.errors import EngineFailed, Problem, Retry, SettingsError
from vm.guest.protocol import Guest
from vm.host.paths import Home, unusable, write_atomic

BASE = Path(__file__).parents[1] / "guest/files/skeleton/etc/dockerd.json"
COMMAND = "/usr/lib/galley/daemon-config"
BOOT_FILE = "daemon.json"
EMPTY = "{}\n"
LONGEST = 30 * 1024  # bytes; a request of the control socket holds twice that
PATIENCE = 400.0  # seconds: two stops and two starts of dockerd, with emulated instructions
REFUSED, AS_BEFORE = 65, 66  # exit codes of `daemon-config apply`
RELOAD_PATIENCE = 180.0  # seconds: dockerd may be starting, and then reloads
NO_COMMAND = (126, 127)  # a shell's exit codes without the program

# Settings that would make dockerd or shared folders unusable, and why.
OWNED = {
    "hosts": DAEMON_JSON_HOSTS,
    "data-root": DAEMON_JSON_DATA_ROOT,
    "exec-root": DAEMON_JSON_EXEC_ROOT,
    "pidfile": DAEMON_JSON_PIDFILE,
    "containerd": DAEMON_JSON_CONTAINERD,
    "containerd-namespace": DAEMON_JSON_CONTAINERD,
    "group": DAEMON_JSON_GROUP,
    "iptables": DAEMON_JSON_IPTABLES,
    "tls": DAEMON_JSON_TLS,
    "tlsverify": DAEMON_JSON_TLS,
    "userns-remap": DAEMON_JSON_USERNS_REMAP,
}


def read(home: Home) -> str:
    """The user's part, as it was written. Raises HomeUnusable."""
    try:
        return home.daemon_config.read_text(encoding="utf-8")
    except FileNotFoundError:
        return EMPTY
    except UnicodeDecodeError as error:
        raise SettingsError(
            DAEMON_JSON_FILE_UNREADABLE, file=home.daemon_config, error=error
        ) from error
    except OSError as error:
        raise unusable(home.root, error) from error


def write(home: Home, text: str) -> None:
    """Keep it. Raises HomeUnusable, DiskFull."""
    write_atomic(home.daemon_config, text.encode())


def forget(home: Home) -> None:
    """Remove it. Raises HomeUnusable."""
    try:
        home.daemon_config.unlink(missing_ok=True)
    except OSError as error:
        raise unusable(home.root, error) from error


def base() -> str:
    """Galley's own settings."""
    return BASE.read_text(encoding="utf-8")


def place(text: str) -> tuple[int, int] | None:
    """Line and column, from 1, where `text` stops being JSON; None where it is JSON."""
    try:
        json.loads(text if text.strip() else EMPTY)
    except json.JSONDecodeError as error:
        return error.lineno, error.colno
    except (ValueError, RecursionError):  # `check` reports it; it has no position
        return None
    return None


def check(text: str) -> Problem | None:
    """The first problem that is visible without dockerd."""
    try:
        _decode(text)
    except SettingsError as error:
        return error.to_problem()
    return None


def keeps_containers(*texts: str) -> bool:
    """Whether containers live through a restart of dockerd between such settings."""
    own = json.loads(base())
    whole = [own | _try_decode(text) for text in texts]
    return all(one.get("live-restore") is True for one in whole)


def apply(guest: Guest, text: str) -> None:
    """Restart the running dockerd with `text`; blocks until dockerd answers.

    Raises SettingsError when nothing has happened, EngineFailed when the old settings had to be
    put back, GuestUnreachable.
    """
    _decode(text)
    done = guest.run((COMMAND, "apply"), stdin=_sent(text), timeout=PATIENCE)
    if done.ok:
        return
    if done.returncode in NO_COMMAND:
        raise EngineFailed(
            DOCKERD_OLDER_MACHINE_SETTINGS,
            details=done.tail(),
        )
    reason = _sentence((done.stdout or done.stderr).decode(errors="replace"))
    if done.returncode == REFUSED:
        raise SettingsError(DOCKERD_SETTINGS_REFUSED, said=reason)
    log = guest.run(("tail", "-n", "20", ENGINE_LOG), timeout=10).stdout.decode(errors="replace")
    if done.returncode == AS_BEFORE:
        raise EngineFailed(
            DOCKERD_SETTINGS_FAILED,
            said=reason,
            details=log,
            retry=Retry.NO,
        )
    raise EngineFailed(
        DOCKERD_GONE,
        reason=reason or DOCKERD_SILENT,
        details=log or done.tail(),
    )


def refusal(console: Sequence[str]) -> Problem | None:
    """dockerd's error at the machine's start, from the guest's console line; dockerd then runs
    without the user's settings."""
    last = next((line for line in reversed(console) if line.startswith("daemon.json")), "")
    word = "daemon.json refused:"
    if not last.startswith(word):
        return None
    return SettingsError(
        DOCKERD_WITHOUT_DAEMON_JSON,
        said=_sentence(last.removeprefix(word)),
    ).to_problem()


def joined(text: str, proxies: dict[str, str]) -> str:
    """The user's part with Galley's `proxies` below it. Raises SettingsError."""
    if not proxies:
        return text
    found = _decode(text)
    own = found.get("proxies")
    return json.dumps({**found, "proxies": proxies | own if isinstance(own, dict) else proxies})


def boot_file(text: str) -> bytes:
    """The boot file; empty for none. Raises SettingsError."""
    return _sent(text) if _decode(text) else b""


def update_guest(guest: Guest, text: str, console: Sequence[str]) -> bool:
    """Send `text` to a running machine. Returns whether dockerd was restarted for it.

    The guest's console line has the hash of what it uses; usually there is no line. Raises what
    `apply` does.
    """
    word = "configured "
    has = next((line for line in reversed(console) if line.startswith(word)), "")
    is_none = not _decode(text)
    if has == word + hashlib.sha256(_sent(text)).hexdigest() or (is_none and not has):
        return False
    apply(guest, text)
    return True


def restart(guest: Guest) -> None:
    """Restart dockerd with its current settings. Raises EngineFailed, GuestUnreachable."""
    done = guest.run((COMMAND, "again"), timeout=PATIENCE)
    if not done.ok:
        reason = _sentence(done.stdout.decode(errors="replace"))
        raise EngineFailed(
            DOCKERD_DOES_NOT_START,
            reason=reason or DOCKERD_SILENT,
            details=done.tail(),
        )


def live_restore(guest: Guest, wanted: Literal["off", "auto"]) -> None:
    """Make dockerd reload with live-restore off, or (`auto`) off only while it is in a swarm;
    dockerd and containers keep running. A value of the user's own stays as it is.

    Raises EngineFailed when nothing has changed, GuestUnreachable.
    """
    done = guest.run((COMMAND, "live_restore", wanted), timeout=RELOAD_PATIENCE)
    if done.returncode in NO_COMMAND:
        raise EngineFailed(
            DOCKERD_OLDER_MACHINE,
            details=done.tail(),
        )
    if not done.ok:
        raise EngineFailed(
            DOCKERD_LIVE_RESTORE,
            details=done.stdout.decode(errors="replace") or done.tail(),
        )


def _decode(text: str) -> dict[str, Any]:
    """Raises SettingsError with the position of the error."""
    try:
        if len(text.encode()) > LONGEST:
            raise SettingsError(DAEMON_JSON_TOO_LONG, kib=LONGEST // 1024)
        found = json.loads(text if text.strip() else EMPTY, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise SettingsError(
            DAEMON_JSON_SYNTAX,
            line=error.lineno,
            column=error.colno,
            reason=_plain(error.msg),
        ) from error
    except (ValueError, RecursionError) as error:  # also from invalid numbers, characters, depths
        raise SettingsError(DAEMON_JSON_UNREADABLE, reason=_plain(str(error))) from error
    if not isinstance(found, dict):
        raise SettingsError(DAEMON_JSON_NO_OBJECT)
    for name in found:
        if name in OWNED:
            raise SettingsError(DAEMON_JSON_OWNED, name=name, reason=OWNED[name])
    return found


def _sent(text: str) -> bytes:
    """As the guest gets and keeps it."""
    return (text.strip() or EMPTY).encode()


def _try_decode(text: str) -> dict[str, Any]:
    try:
        return _decode(text)
    except SettingsError:
        return {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """dockerd takes the last of two values in silence, which is hardly what was meant."""
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise SettingsError(DAEMON_JSON_TWICE, name=name)
        seen[name] = value
    return seen


def _plain(message: str) -> str:
    """Python's message, as part of a sentence."""
    return message[:1].lower() + message[1:]


def _sentence(message: str) -> str:
    """dockerd's message without its log prefix."""
    last = (message.strip().splitlines() or [""])[-1]
    for prefix in ("unable to configure the Docker daemon with file", "failed to start daemon:"):
        if last.startswith(prefix):
            last = last[len(prefix) :].strip()
    if last.startswith("/run/galley/"):
        last = last.partition(": ")[2]
    return last.rstrip(".")
