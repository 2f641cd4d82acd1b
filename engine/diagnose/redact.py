"""Keeps secrets out of what leaves this computer. May import: the standard library, `vm.host`.

Two nets: the very secrets that we can find (our own keys, docker's logins) are replaced wherever
they stand, in whatever encoding of the list; and what looks like a secret goes by its look.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from vm.host.paths import Home

GONE = "<redacted>"
SHORTEST = 6  # characters: a shorter secret would take half the text with it

_SECRET_WORD = (
    r"(?:passwd|password|passphrase|(?<![a-z])pass(?![a-z])|secret|token|api[-_]?key|access[-_]?key"
    r"|(?<![a-z])auth(?![a-z])|credentials?|private[-_]?key)"
)
_BY_LOOK: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), GONE),
    (re.compile(r"(?i)\b((?:proxy-)?authorization|x-registry-auth|cookie)(\W+)[^\r\n\"']+"),
     rf"\1\2{GONE}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {GONE}"),
    (re.compile(rf"(?i)([\w.-]*{_SECRET_WORD}[\w.-]*[\"']?\s*[=:]\s*)"
                r"(\"[^\"]*\"|'[^']*'|[^\s,;&\"'}]+)"), rf"\1{GONE}"),
    (re.compile(r"(?i)(--(?:[\w-]*-)?(?:password|token|secret)|\blogin\b[^\n]*?\s-p)[ =]+\S+"),
     rf"\1 {GONE}"),
    (re.compile(r"(\w+://)[^/\s@\"']+@"), rf"\1{GONE}@"),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|dckr_pat_|xox[abpr]-|sk-)[\w-]{10,}"), GONE),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), GONE),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), GONE),
)  # fmt: skip
_USER_FOLDER = re.compile(r"((?:/home|/Users|[A-Z]:\\{1,2}Users)[/\\]{1,2})[^/\\\s\"':]+")


class Redactor:
    """Built once for an instance; `text` and `data` may be called for any number of files."""

    def __init__(self, home: Home, more: Iterable[str] = ()) -> None:
        found = {*_own_keys(home), *_docker_logins(), *_secret_variables(), *more}
        self._known = sorted((s for s in found if len(s) >= SHORTEST), key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, GONE)
        for pattern, instead in _BY_LOOK:
            text = pattern.sub(instead, text)
        return _without_user(text)

    def data(self, data: bytes) -> bytes:
        return self.text(data.decode(errors="replace")).encode()


def _without_user(text: str) -> str:
    """The home folder as `~`, and the user's name where a path still shows it."""
    home = str(Path.home())
    if len(home) > len("/root"):
        text = text.replace(home, "~").replace(home.replace("\\", "\\\\"), "~")
    return _USER_FOLDER.sub(r"\1<user>", text)


def _own_keys(home: Home) -> Iterator[str]:
    """Our ssh key and the control socket's: whole, and each line that says something."""
    for path in (home.machine / "id_ed25519", home.run / "control.key"):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        yield from (data.decode(errors="replace").strip(), data.hex(), _base64(data))
        lines = data.decode(errors="replace").splitlines()
        yield from (line for line in lines if len(line) >= 16 and not line.startswith("-----"))


def _docker_logins() -> Iterator[str]:
    """Of docker's config file: each login as it stands, and the password inside it."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        auths = json.loads((folder / "config.json").read_bytes()).get("auths", {})
        entries = [entry for entry in auths.values() if isinstance(entry, dict)]
    except (OSError, ValueError, AttributeError):
        return
    for entry in entries:
        for name in ("auth", "identitytoken", "registrytoken", "password"):
            if isinstance(entry.get(name), str):
                yield entry[name]
        yield _password(entry.get("auth"))


def _password(auth: object) -> str:
    try:
        return base64.b64decode(str(auth)).decode().partition(":")[2]
    except ValueError:
        return ""


def _secret_variables() -> Iterator[str]:
    """The values of environment variables whose name says that they are secret, and the logins at
    proxies."""
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy") and "@" in value:
            login = value.rpartition("@")[0].rpartition("://")[2]
            yield from (login, login.partition(":")[2])
        if re.search(_SECRET_WORD, name, re.IGNORECASE) and not os.path.exists(value):
            yield value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
