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
from vm.errors import EngineFailed, Problem, Retry, SettingsError
from vm.guest.protocol import Guest
from vm.host.paths import Home, unusable, write_atomic

BASE = Path(__file__).parents[1] / "guest/files/skeleton/etc/dockerd.json"
COMMAND = "/usr/lib/galley/daemon-config"
BOOT_FILE = "daemon.json"
EMPTY = "{}\n"
LONGEST = 30 * 1024  # bytes; a request of the control socket holds twice that
PATIENCE = 400.0  # seconds: two ends and two starts of dockerd, where instructions are emulated
REFUSED, AS_BEFORE = 65, 66  # how `daemon-config apply` ends
RELOAD_PATIENCE = 180.0  # seconds: dockerd may be starting, and then reloads
NO_COMMAND = (126, 127)  # what a shell says where there is none

# What would cut dockerd off, and why.
OWNED = {
    "hosts": "Galley reaches dockerd on the socket that it has chosen.",
    "data-root": "Images and volumes are on the machine's data disk.",
    "exec-root": "It is in the machine's memory, where the next start expects it.",
    "pidfile": "Galley's machine tells by it whether dockerd runs.",
    "containerd": "Galley runs containerd by itself.",
    "containerd-namespace": "Galley runs containerd by itself.",
    "group": "The socket belongs to the machine's only user.",
    "iptables": "Published ports reach their containers by it.",
    "tls": "dockerd is reached inside the machine only, through ssh.",
    "tlsverify": "dockerd is reached inside the machine only, through ssh.",
}


def read(home: Home) -> str:
    """The user's part, as it was written. Raises HomeUnusable."""
    try:
        return home.daemon_config.read_text(encoding="utf-8")
    except FileNotFoundError:
        return EMPTY
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{home.daemon_config} cannot be read: {error}.", "Correct it, or delete it."
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
    except (ValueError, RecursionError):  # `check` tells of it, which has no place
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
    """Let the running dockerd start again with it; blocks until dockerd answers.

    Raises SettingsError when nothing has happened, EngineFailed when the old settings had to be
    put back, GuestUnreachable.
    """
    _decode(text)
    done = guest.run((COMMAND, "apply"), stdin=_sent(text), timeout=PATIENCE)
    if done.ok:
        return
    if done.returncode in NO_COMMAND:
        raise EngineFailed(
            "The machine that runs was started by an older Galley.",
            "Run `galley restart`, then apply the settings again.",
            details=done.tail(),
        )
    said = _sentence((done.stdout or done.stderr).decode(errors="replace"))
    if done.returncode == REFUSED:
        raise SettingsError(
            f"dockerd refuses these settings: {said}.", "Nothing was changed. Correct them."
        )
    log = guest.run(("tail", "-n", "20", ENGINE_LOG), timeout=10).stdout.decode(errors="replace")
    if done.returncode == AS_BEFORE:
        raise EngineFailed(
            f"dockerd does not start with these settings: {said}.",
            "The old settings are in force again. Correct the new ones and apply them again.",
            details=log,
            retry=Retry.NO,
        )
    raise EngineFailed(
        f"dockerd does not start any more: {said or 'it says nothing'}.",
        "The old settings were put back, without success. Run `galley restart`.",
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
        f"dockerd does not start with daemon.json: {_sentence(last.removeprefix(word))}.",
        "It runs with Galley's own settings. Correct daemon.json and apply it again.",
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
    """Give `text` to a running machine; whether dockerd was restarted for it.

    The guest's console line says what it has; mostly there is none. Raises what `apply` does.
    """
    word = "configured "
    has = next((line for line in reversed(console) if line.startswith(word)), "")
    is_none = not _decode(text)
    if has == word + hashlib.sha256(_sent(text)).hexdigest() or (is_none and not has):
        return False
    apply(guest, text)
    return True


def restart(guest: Guest) -> None:
    """Let dockerd start again with what it has. Raises EngineFailed, GuestUnreachable."""
    done = guest.run((COMMAND, "again"), timeout=PATIENCE)
    if not done.ok:
        said = _sentence(done.stdout.decode(errors="replace"))
        raise EngineFailed(
            f"dockerd does not start any more: {said or 'it says nothing'}.",
            "Run `galley restart`.",
            details=done.tail(),
        )


def live_restore(guest: Guest, wanted: Literal["off", "auto"]) -> None:
    """Let dockerd reload with live-restore off, or (`auto`) off only while it is in a swarm; it
    runs on, and so do containers. A value of the user's own stays as it is.

    Raises EngineFailed when nothing has changed, GuestUnreachable.
    """
    done = guest.run((COMMAND, "live_restore", wanted), timeout=RELOAD_PATIENCE)
    if done.returncode in NO_COMMAND:
        raise EngineFailed(
            "The machine that runs was started by an older Galley.",
            "Run `galley restart`, then try again.",
            details=done.tail(),
        )
    if not done.ok:
        raise EngineFailed(
            "dockerd does not turn off live-restore, without which it allows no swarm.",
            "Nothing was changed. `galley logs --component engine` says why; try again after "
            "`galley restart`.",
            details=done.stdout.decode(errors="replace") or done.tail(),
        )


def _decode(text: str) -> dict[str, Any]:
    """Raises SettingsError with the position of the error."""
    try:
        if len(text.encode()) > LONGEST:
            raise SettingsError(f"daemon.json is longer than {LONGEST // 1024} KiB.", "Shorten it.")
        found = json.loads(text if text.strip() else EMPTY, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"Line {error.lineno}, column {error.colno}: {_plain(error.msg)}.",
            "daemon.json is JSON: names and texts in double quotes, no comma before a bracket.",
        ) from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # also from invalid numbers, characters and depths
        raise SettingsError(
            f"daemon.json cannot be read: {_plain(str(error))}.", "Correct it."
        ) from error
    if not isinstance(found, dict):
        raise SettingsError(
            "daemon.json has to be an object.", 'Write its settings between braces: {"debug": true}'
        )
    for name in found:
        if name in OWNED:
            raise SettingsError(f'"{name}" cannot be set here.', OWNED[name])
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
            raise SettingsError(f'"{name}" is there twice.', "Keep one of them.")
        seen[name] = value
    return seen


def _plain(message: str) -> str:
    """Python's message, as part of a sentence."""
    return message[:1].lower() + message[1:]


def _sentence(said: str) -> str:
    """dockerd's message without its log prefix."""
    last = (said.strip().splitlines() or [""])[-1]
    for prefix in ("unable to configure the Docker daemon with file", "failed to start daemon:"):
        if last.startswith(prefix):
            last = last[len(prefix) :].strip()
    if last.startswith("/run/galley/"):
        last = last.partition(": ")[2]
    return last.rstrip(".")
