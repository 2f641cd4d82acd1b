"""Takes secrets out of text that leaves this computer.

Two passes. Known secrets (our own keys, docker's logins, secret environment variables) are replaced
wherever they stand, also in hex, base64, JSON and percent encoding. Then everything with the shape
of a secret is replaced (`SHAPES`). A secret that is neither known nor has one of the shapes stays:
`bundle.py` therefore leaves out whole fields instead of relying on this module. Image digests and
container ids have none of the shapes.

Guest root writes to some of these logs, so each pattern runs in about linear time: its repetitions
are bounded, or start where no character of the same kind stands before.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from engine.dockercli import config_json
from vm.host.paths import Home

GONE = "<redacted>"
SHORTEST = 6  # characters: a shorter secret would take half the text with it

SECRET_WORD = (
    r"(?:passwd|password|passphrase|(?<![a-z])pass(?![a-z])|(?<![a-z])pwd?(?![a-z])|secret|token"
    r"|apikey|accesskey|privatekey|(?<=[_-])key(?![a-z])|(?<=[_-])salt(?![a-z])"
    r"|(?<![a-z])auth(?![a-z])|credentials?|webhook|signature)"
)
# Names of environment variables, which are often run together: PGPASS, STRIPEKEY.
_VARIABLE = r"[A-Z0-9_]{0,64}(?:PASS|PWD|KEY|SALT|DSN|SECRET|TOKEN)[A-Z0-9_]{0,64}"
_VALUE = r"(?:(?P<quote>\\*[\"']).*?(?:(?<!\\)(?P=quote)|(?=\n)|\Z)|\S+)"
_NEXT = r"(?:\s+|\s*=\s*|\\*[\"']\s*,\s*\\*[\"'])"  # between words of a command, or of a JSON list
_SCHEME = r"(?<=://)"
_START = r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))"  # of a token, also in a percent-encoded text
_TOKENS = (
    r"gh[pousr]_",  # GitHub
    r"github_pat_",
    r"gl(?:pat|dt|rt|ptt|cbt|oas|soat)-",  # GitLab
    r"dckr_[po]at_",  # Docker Hub
    r"xox[abceoprs]-",  # Slack
    r"xapp-",
    r"sk-",  # OpenAI, Anthropic
    r"[rs]k_(?:live|test)_",  # Stripe
    r"npm_",
    r"pypi-",
    r"hf_",  # Hugging Face
    r"hv[sb]\.",  # Vault
    r"AIza",  # Google
    r"ya29\.",
)
_WEBHOOKS = r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord\.com/api/webhooks)/"

SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # PEM, also one whose beginning or end is not in the text
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), GONE),
    (re.compile(r"\A[\w+/=\s]*-----END [A-Z ]+-----"), GONE),
    # headers, to the end of their line
    (re.compile(r"(?i)\b((?:proxy-)?authorization|x-registry-auth|x-registry-config|cookie)"
                r"(\\*[\"']?\s*[:=]\s*)[^\r\n]+"), rf"\1\2{GONE}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?!(?-i:[a-z]+)\b)[\w.~+/=-]{8,}"), rf"\1 {GONE}"),
    # words of commands
    (re.compile(rf"(?i)(?<![\w-])(--(?:[\w-]{{0,64}}-)?{SECRET_WORD}(?!-stdin)[\w-]*{_NEXT}){_VALUE}"),
     rf"\1{GONE}"),
    (re.compile(r"(?<![\w-])-p(?!<)(?![\d.:/-]+(?:[\s\"']|$))[^\s\"',=]\S*"), f"-p{GONE}"),
    (re.compile(rf"\b((?:login|sshpass|mysql\w*|mariadb\w*|redis-cli)\b[^\n]{{0,400}}?"
                rf"[\s\"']-[pa]{_NEXT}){_VALUE}"), rf"\1{GONE}"),
    (re.compile(rf"(?<![\w-])((?:-u|--user|--proxy-user){_NEXT}?)(?!\d+:\d+\b)[^\s:\"']+:\S+"),
     rf"\1{GONE}"),
    (re.compile(rf"(?<![\w-])((?:-e|--env|--build-arg){_NEXT}\w+=){_VALUE}"), rf"\1{GONE}"),
    # names with their values
    (re.compile(rf"(?i)({SECRET_WORD}[\w.-]{{0,64}}\\*[\"']?\s*[=:]\s*){_VALUE}"), rf"\1{GONE}"),
    (re.compile(rf"(?<![A-Za-z0-9_])({_VARIABLE}=){_VALUE}"), rf"\1{GONE}"),
    # logins in addresses
    (re.compile(rf"{_SCHEME}[^\s\"'@/:]+:(?!\d+/)[^\s\"']{{1,512}}@(?!sha\d+:)"), f"{GONE}@"),
    (re.compile(rf"{_SCHEME}[^\s\"'/]+@(?!sha\d+:)"), f"{GONE}@"),
    (re.compile(r"(?<![\w.%-])[\w.%-]+:[^\s:@/\"']+@(?!sha\d+:)(?=[\w(\[])"), f"{GONE}@"),
    (re.compile(rf"({_WEBHOOKS})\S+"), rf"\1{GONE}"),
    # tokens
    (re.compile(rf"{_START}(?:{'|'.join(_TOKENS)})[\w.-]{{10,}}"), GONE),
    (re.compile(rf"{_START}eyJ[\w-]{{8,}}\.[\w-]{{8,}}\.[\w-]*"), GONE),  # JWT
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), GONE),  # AWS
)  # fmt: skip
_USER_FOLDER = re.compile(r"((?:/home|/Users|[A-Z]:\\{1,2}Users)[/\\]{1,2})[^/\\\s\"':]+")


class Redactor:
    """Built once for an instance; `text` and `data` may be called for any number of files."""

    def __init__(self, home: Home, more: Iterable[str] = ()) -> None:
        found = {*_own_keys(home), *_docker_logins(), *_secret_variables(), *more}
        written = {text for secret in found if len(secret) >= SHORTEST for text in _written(secret)}
        self._known = sorted(written, key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, GONE)
        for pattern, instead in SHAPES:
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


def _written(secret: str) -> Iterator[str]:
    """The secret in every encoding in which a log or a JSON document may hold it."""
    data = secret.encode()
    yield from (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (quote(secret), quote(secret, safe=""))
    yield from (data.hex(), data.hex().upper())
    for before in range(3):  # bytes before it in a longer base64 text
        for encoded in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encoded(bytes(before) + data).decode()
            inside = whole[(0, 2, 3)[before] :].rstrip("=")
            yield inside if (before + len(data)) % 3 == 0 else inside[:-1]


def _own_keys(home: Home) -> Iterator[str]:
    """Our ssh key and the control socket's: whole, and each line that is a part of one."""
    for path in (home.machine / "id_ed25519", home.run / "control.key"):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        yield from (text, text.strip())
        yield from (line for line in text.splitlines() if not line.startswith("-----"))


def _docker_logins() -> Iterator[str]:
    """Of docker's config.json: each login as it stands, the password inside it, the headers that
    docker sends, and the logins at proxies."""
    try:
        config = json.loads(config_json.path().read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    for entry in _entries(config, "auths"):
        yield from _texts(entry, "auth", "identitytoken", "registrytoken", "password")
        yield _password(entry.get("auth"))
    headers = config.get("HttpHeaders") if isinstance(config, dict) else None
    if isinstance(headers, dict):
        yield from _texts(headers, *headers)
    for proxies in _entries(config, "proxies"):
        for address in _texts(proxies, *proxies):
            yield from _login(address)


def _entries(config: object, name: str) -> Iterator[dict[str, object]]:
    found = config.get(name) if isinstance(config, dict) else None
    if isinstance(found, dict):
        yield from (entry for entry in found.values() if isinstance(entry, dict))


def _texts(entry: dict[str, object], *names: str) -> Iterator[str]:
    yield from (value for name in names if isinstance(value := entry.get(name), str))


def _password(auth: object) -> str:
    try:
        return base64.b64decode(str(auth)).decode().partition(":")[2]
    except ValueError:
        return ""


def _secret_variables() -> Iterator[str]:
    """The values of environment variables with the name of a secret, and the logins at proxies."""
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy"):
            yield from _login(value)
        is_secret = re.search(SECRET_WORD, name, re.IGNORECASE) or re.fullmatch(_VARIABLE, name)
        if is_secret and not os.path.exists(value):
            yield value


def _login(address: str) -> Iterator[str]:
    """USER:PASSWORD of an address, and the password, also as it was meant; "" without one."""
    login = address.rpartition("@")[0].rpartition("://")[2]
    password = login.partition(":")[2]
    yield from (login, password, unquote(password))
