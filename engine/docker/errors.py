"""Turns errors of the SDK into Galley's. Next: `transport.py`.

dockerd's message is kept without the chain of its internal layers and long ids; the details have it
in full.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from engine.docker.sdk import docker, requests, urllib3
from engine.messages.docker import (
    DOCKER_HINT_CERTIFICATE_EXPIRED,
    DOCKER_HINT_CERTIFICATE_UNKNOWN,
    DOCKER_HINT_DENIED,
    DOCKER_HINT_IMAGE_USED,
    DOCKER_HINT_NAME_USED,
    DOCKER_HINT_NETWORK_USED,
    DOCKER_HINT_NO_ARCHITECTURE,
    DOCKER_HINT_NO_IMAGE,
    DOCKER_HINT_NO_PROGRAM,
    DOCKER_HINT_NO_REGISTRY,
    DOCKER_HINT_NO_SOURCE,
    DOCKER_HINT_NO_SPACE,
    DOCKER_HINT_NO_TAG,
    DOCKER_HINT_NOT_RUNNING,
    DOCKER_HINT_PAUSED,
    DOCKER_HINT_PORT_PUBLISHED,
    DOCKER_HINT_PORT_USED,
    DOCKER_HINT_PROXY,
    DOCKER_HINT_RUNNING,
    DOCKER_HINT_VOLUME_USED,
    DOCKER_NO_PROXY,
    DOCKER_NO_REGISTRY,
    DOCKER_NOT_TRUSTED,
    DOCKER_REFUSED,
    DOCKER_REFUSED_SILENTLY,
    DOCKER_SILENT,
)
from vm.errors import EngineRefused, EngineUnreachable, ObjectConflict, ObjectGone, Retry
from vm.messages import Text

type Names = Mapping[str, str]  # the first 12 digits of an id → the name of what it is
SHORT_ID = 12

# What the layers between an error and us put before it; removed repeatedly, from the front.
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
# dockerd's HTTP client did not reach the registry; the reason comes last.
_NO_REGISTRY = re.compile(
    r"""^(?:(?:Get|Head)\ "?https?://|dial\ tcp\ ) (?P<host>[^/"\s]+?) (?:/[^"\s]*"?)?:\ .*?
        (?P<why>connection\ refused | no\ such\ host | i/o\ timeout | context\ deadline\ exceeded |
        no\ route\ to\ host | network\ is\ unreachable | Client\.Timeout\ exceeded)""",
    re.VERBOSE,
)
# It did not reach the proxy; or it does not trust the certificate of a proxy or registry.
_NO_PROXY = re.compile(r"proxyconnect tcp: dial tcp (?P<host>\S+?): .*?(?P<why>[^:]+)$")
_NOT_TRUSTED = re.compile(
    r"""^(?:Get|Head|Put|Post|Patch)\ "?https?://(?P<host>[^/"\s]+).*?
        (?:tls:\ failed\ to\ verify\ certificate:\ )?x509:\ (?P<why>.+)$""",
    re.VERBOSE,
)
_UNREACHED = (
    (_NO_PROXY, DOCKER_NO_PROXY),
    (_NOT_TRUSTED, DOCKER_NOT_TRUSTED),
    (_NO_REGISTRY, DOCKER_NO_REGISTRY),
)
_SAID_TWICE = re.compile(r"(: [^:]+)\1$")
_QUOTED_NAME = re.compile(r'"/?([\w.:@/-]+)"')

_HINTS = (
    (
        r":(\d+) failed: port is already allocated|address already in use.*?:(\d+)",
        DOCKER_HINT_PORT_PUBLISHED,
    ),
    (r":(\d+)(?:/\w+)?: bind: address already in use", DOCKER_HINT_PORT_USED),
    (r"name .* is already in use", DOCKER_HINT_NAME_USED),
    (
        r"container (\S+) is using|image is being used by \w+ container (\S+)",
        DOCKER_HINT_IMAGE_USED,
    ),
    (r"container is running|running container", DOCKER_HINT_RUNNING),
    (r"volume is in use - \[(\w+)", DOCKER_HINT_VOLUME_USED),
    (r"has active endpoints", DOCKER_HINT_NETWORK_USED),
    (
        r"pull access denied|requested access to the resource is denied|unauthorized",
        DOCKER_HINT_DENIED,
    ),
    (r"manifest (?:for .* )?(?:unknown|not found)|not found: manifest", DOCKER_HINT_NO_TAG),
    (r"proxyconnect tcp", DOCKER_HINT_PROXY),
    (r"x509: certificate has expired", DOCKER_HINT_CERTIFICATE_EXPIRED),
    (r"x509: certificate signed by unknown authority", DOCKER_HINT_CERTIFICATE_UNKNOWN),
    (
        r"^(?:Get|Head|dial tcp) .*(?:refused|no such host|time-?out|unreachable|no route)",
        DOCKER_HINT_NO_REGISTRY,
    ),
    (r"no matching manifest", DOCKER_HINT_NO_ARCHITECTURE),
    (r"No such image", DOCKER_HINT_NO_IMAGE),
    (r"no space left on device", DOCKER_HINT_NO_SPACE),
    (r"bind source path does not exist", DOCKER_HINT_NO_SOURCE),
    (r"executable file not found|no such file or directory: unknown", DOCKER_HINT_NO_PROGRAM),
    (r"is not running", DOCKER_HINT_NOT_RUNNING),
    (r"is paused", DOCKER_HINT_PAUSED),
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
        docker.errors.DockerException,  # any other: no answer, or an invalid one
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise unreachable(error) from error


def unreachable(error: Exception) -> EngineUnreachable:
    return EngineUnreachable(
        DOCKER_SILENT,
        details=f"{type(error).__name__}: {error}",
    )


def refused(
    message: str, status: int = 500, where: str = "", names: Names | None = None
) -> EngineRefused:
    """The error for dockerd's `message`; also for one that came inside a stream of progress."""
    kind = {404: ObjectGone, 409: ObjectConflict}.get(status, EngineRefused)
    details = f"HTTP {status} {where}\n{message}" if where else message
    retry = Retry.UNKNOWN if status >= 500 else None
    sentence, advice = clean(message, names or {}), hint(message, names or {})
    return kind(DOCKER_REFUSED, said=sentence, hint=advice or "", details=details, retry=retry)


def clean(message: str, names: Names) -> Text:
    """dockerd's message as a sentence, without a code where it is dockerd's own."""
    text = " ".join(message.split()).removesuffix(": unknown").rstrip()
    while shorter := _PREFIXES.sub("", text, count=1):
        if shorter == text:
            break
        text = shorter
    for pattern, message_of in _UNREACHED:
        if found := pattern.search(text):
            reason = _tidy(found["why"].strip(), names)
            return message_of.text(host=found["host"], reason=reason)
    text = _tidy(text, names)
    return Text(f"{text[:1].upper()}{text[1:]}.") if text else DOCKER_REFUSED_SILENTLY.text()


def _tidy(text: str, names: Names) -> str:
    text = _SAID_TWICE.sub(r"\1", text)
    return _QUOTED_NAME.sub(r"\1", _named(text, names)).rstrip(".")


def hint(message: str, names: Names) -> Text | None:
    for pattern, advice in _HINTS:
        if found := re.search(pattern, message, re.IGNORECASE | re.DOTALL):
            what = next(filter(None, found.groups()), "")
            return advice.text(what=_named(what, names)) if what else advice.text()
    return None


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
