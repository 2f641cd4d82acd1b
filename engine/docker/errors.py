"""Turns errors of the SDK into Galley's. Next: `transport.py`.

dockerd's message is kept without the chain of its internal layers and long ids; the details have it
in full.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from engine.docker.sdk import docker, requests, urllib3
from vm.errors import EngineRefused, EngineUnreachable, ObjectConflict, ObjectGone, Retry

type Names = Mapping[str, str]  # the first 12 digits of an id → the name of what it is
SHORT_ID = 12

# Where an error has been on its way to us; removed from the front, again and again.
_PREFIXES = re.compile(
    r"""^(?:
        Error\ response\ from\ daemon |
        failed\ to\ create\ (?:shim\ )?task(?:\ for\ container)? |
        OCI\ runtime\ (?:create|exec|start)\ failed | runc\ (?:create|run|start)\ failed |
        exec\ failed | failed\ to\ set\ up\ container\ networking |
        driver\ failed\ programming\ external\ connectivity\ on\ endpoint\ \S+(?:\ \(\w+\))? |
        conflict | Conflict\.(?=\ )
    )(?::\s+|(?<=\.)\s+)""",
    re.VERBOSE,
)
_ID = re.compile(r"\b(?:sha256:)?([0-9a-f]{64}|[0-9a-f]{12})\b")
# dockerd asked a registry, and its HTTP client did not get there; the reason is what comes last.
_NO_REGISTRY = re.compile(
    r"""^(?:(?:Get|Head)\ "?https?://|dial\ tcp\ ) (?P<host>[^/"\s]+?) (?:/[^"\s]*"?)?:\ .*?
        (?P<why>connection\ refused | no\ such\ host | i/o\ timeout | context\ deadline\ exceeded |
        no\ route\ to\ host | network\ is\ unreachable | Client\.Timeout\ exceeded)""",
    re.VERBOSE,
)
# It did not get further than a proxy; or what it met there is not what it trusts.
_NO_PROXY = re.compile(r"proxyconnect tcp: dial tcp (?P<proxy>\S+?): .*?(?P<why>[^:]+)$")
_NOT_TRUSTED = re.compile(
    r"""^(?:Get|Head|Put|Post|Patch)\ "?https?://(?P<host>[^/"\s]+).*?
        (?:tls:\ failed\ to\ verify\ certificate:\ )?x509:\ (?P<why>.+)$""",
    re.VERBOSE,
)
_SAID_TWICE = re.compile(r"(: [^:]+)\1$")
_QUOTED_NAME = re.compile(r'"/?([\w.:@/-]+)"')

_HINTS = (
    (
        r":(\d+) failed: port is already allocated|address already in use.*?:(\d+)",
        "Port {} is published by another container. Stop that one, or choose another host port.",
    ),
    (
        r":(\d+)(?:/\w+)?: bind: address already in use",
        "Something else uses port {}. Choose another.",
    ),
    (
        r"name .* is already in use",
        "Choose another name, or remove or rename the container that has it.",
    ),
    (
        r"container (\S+) is using|image is being used by \w+ container (\S+)",
        "Remove container {} first, or remove the image by force.",
    ),
    (r"container is running|running container", "Stop the container first, or remove it by force."),
    (r"volume is in use - \[(\w+)", "Remove the container that uses it first ({})."),
    (r"has active endpoints", "Disconnect or remove the containers on this network first."),
    (
        r"pull access denied|requested access to the resource is denied|unauthorized",
        "Check the name of the image; if it is private, log in to its registry first.",
    ),
    (
        r"manifest (?:for .* )?(?:unknown|not found)|not found: manifest",
        "The registry has no such tag. Check the name and the tag.",
    ),
    (
        r"proxyconnect tcp",
        "Start the proxy, or choose another, or none, among the network settings.",
    ),
    (
        r"x509: certificate has expired",
        "Whoever runs this registry has to renew it; or this computer's clock is wrong.",
    ),
    (
        r"x509: certificate signed by unknown authority",
        "Add that authority to the trust store of this computer, then start Galley again.",
    ),
    (
        r"^(?:Get|Head|dial tcp) .*(?:refused|no such host|time-?out|unreachable|no route)",
        "Check the name before the first slash, and whether the engine reaches the network.",
    ),
    (r"no matching manifest", "This image does not exist for the engine's architecture."),
    (r"No such image", "Pull the image first."),
    (
        r"no space left on device",
        "The engine's disk is full. Remove what is not used, or give the disk more space.",
    ),
    (r"bind source path does not exist", "Create the folder first, or share it with the engine."),
    (
        r"executable file not found|no such file or directory: unknown",
        "The image has no such program.",
    ),
    (r"is not running", "Start the container first."),
    (r"is paused", "Resume the container first."),
)


@contextmanager
def answering(names: Names | None = None) -> Iterator[None]:
    """Turns errors of a request into EngineRefused, ObjectGone, ObjectConflict or
    EngineUnreachable."""
    try:
        yield
    except docker.errors.APIError as error:
        raise _refused(error, names or {}) from error
    except (
        docker.errors.DockerException,  # what is left of it: no answer, or one that makes no sense
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise unreachable(error) from error


def unreachable(error: Exception) -> EngineUnreachable:
    return EngineUnreachable(
        "The Docker Engine does not answer.",
        "See on the Engine page whether it runs.",
        details=f"{type(error).__name__}: {error}",
    )


def refused(
    message: str, status: int = 500, where: str = "", names: Names | None = None
) -> EngineRefused:
    """The error for dockerd's `message`; also for one that came inside a stream of progress."""
    kind = {404: ObjectGone, 409: ObjectConflict}.get(status, EngineRefused)
    details = f"HTTP {status} {where}\n{message}" if where else message
    retry = Retry.UNKNOWN if status >= 500 else None
    return kind(
        clean(message, names or {}), hint(message, names or {}), details=details, retry=retry
    )


def clean(message: str, names: Names) -> str:
    """dockerd's message as a sentence."""
    text = " ".join(message.split()).removesuffix(": unknown").rstrip()
    while shorter := _PREFIXES.sub("", text, count=1):
        if shorter == text:
            break
        text = shorter
    if found := _NO_PROXY.search(text):
        text = f"The proxy {found['proxy']} cannot be reached: {found['why'].strip()}"
    elif found := _NOT_TRUSTED.match(text):
        text = f"The certificate of {found['host']} is refused: {found['why']}"
    elif found := _NO_REGISTRY.match(text):
        text = f"The registry {found['host']} cannot be reached: {found['why']}"
    text = _SAID_TWICE.sub(r"\1", text)
    text = _QUOTED_NAME.sub(r"\1", _named(text, names)).rstrip(".")
    return (text[:1].upper() + text[1:] if text else "The Docker Engine refused") + "."


def hint(message: str, names: Names) -> str:
    for pattern, text in _HINTS:
        if found := re.search(pattern, message, re.IGNORECASE | re.DOTALL):
            what = next(filter(None, found.groups()), "")
            return text.format(_named(what, names))
    return ""


def _named(text: str, names: Names) -> str:
    """Ids replaced by names where these are known, and shortened where not."""

    def name(found: re.Match[str]) -> str:
        short = found[1][:SHORT_ID]
        return names.get(short, short)

    return _ID.sub(name, text)


def _refused(error: docker.errors.APIError, names: Names) -> EngineRefused:
    response = error.response
    if response is None:
        return refused(str(error.explanation or error), names=names)
    where = f"{response.request.method} {response.request.path_url}"
    message = str(error.explanation or response.reason)
    return refused(message, response.status_code, where, names)
