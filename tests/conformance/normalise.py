"""Masks the values that necessarily differ between two engines: ids, times, addresses, sizes.

Each mask has a reason. Empty and zero values are not masked, so that a missing value is a
difference. Next: `differences.py`, for differences with other reasons.
"""

import re
from typing import Any

from tests.conformance.engines import Engine

# A field's name → why its value is always masked.
FIELDS = {
    **dict.fromkeys(("ID", "Id", "id", "ContainerID"), "each engine makes its own ids"),
    **dict.fromkeys(("EndpointID", "NetworkID", "SandboxID", "NodeID"), "the same"),
    **dict.fromkeys(("ServiceID", "Parent", "ParentId", "ExecID", "ExecIDs"), "the same"),
    **dict.fromkeys(("Created", "CreatedAt", "UpdatedAt", "created"), "the moment it was made"),
    **dict.fromkeys(("LastTagTime", "StartedAt", "FinishedAt", "Start", "End"), "the moment"),
    **dict.fromkeys(("time", "timeNano"), "the moment of an event"),
    **dict.fromkeys(("Pid", "SandboxKey"), "the kernel's number for it"),
    **dict.fromkeys(("MacAddress", "IPAddress", "Gateway", "Subnet"), "of the engine's own pool"),
    **dict.fromkeys(("TrustRoot", "CertIssuerPublicKey"), "a swarm's own authority"),
    "execDuration": "how long it ran",
    "Index": "the version of an object in the swarm's store",
}
# A pattern in a text, its replacement, and why.
TEXTS = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>", "a moment"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4}( \w+)?", "<time>", "a moment"),
    (r"\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b", "<time>", "a moment, by ls"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>", "the same, of a plain random kind"),
    (r"\b[a-z0-9]{25}::[a-z0-9]{25}\b", "<id>", "the same, of BuildKit"),
    (r"\b[0-9a-f]{64}\b", "<id>", "each engine makes its own ids, with the time in them"),
    (r"(?<![0-9a-f])(?=[0-9a-f]*\d)[0-9a-f]{12}(?![0-9a-f])", "<id>", "the same, short"),
    (r"\b(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{25}\b", "<id>", "the same, of the swarm"),
    (r"\b02:42(:[0-9a-f]{2}){4}\b", "<mac>", "made of the address"),
    (r"\b(172\.\d+|192\.168)\.\d+\.\d+(/\d+)?", "<address>", "of the engine's own pool"),
    (r"Less than a second( ago)?", "<span>", "how long it is so"),
    (r"(About )?\b(an?|\d+) (second|minute|hour)s?( ago)?\b", "<span>", "how long it is so"),
    (r"\b\d+(\.\d+)?m?s\b", "<span>", "how long it took"),
    (r"nameserver (?!192\.0\.2\.)\S+", "nameserver <address>", "the computer's own"),
    (r",inode64\b", "", "a default of the kernel"),
    (r"/proc/thread-self/fd/\d+", "<descriptor>", "of runc, the next one that is free"),
    (r"SWMTKN-1-[0-9a-z-]+", "<token>", "a secret of the swarm"),
]


def normalise(value: Any, engine: Engine) -> Any:
    """The value with every mask applied."""
    if isinstance(value, dict):
        return {
            _text(str(key), engine): _field(str(key), one, engine) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [normalise(one, engine) for one in value]
    if isinstance(value, bytes):
        return _text(value.decode(errors="backslashreplace"), engine)
    return _text(value, engine) if isinstance(value, str) else value


def _field(key: str, value: Any, engine: Engine) -> Any:
    is_masked = key in FIELDS and isinstance(value, str | int | float | list)
    if is_masked and value and not str(value).startswith(("sha256:", "0001-")):
        return f"<{key}>"
    return normalise(value, engine)


def _text(text: str, engine: Engine) -> str:
    for image in engine.images:
        text = text.replace(image, "<the image>")
    text = text.replace(str(engine.root), "<folder>").replace(engine.url, "<url>")
    text = text.replace(engine.data, "<data>")
    for pattern, mask, _ in TEXTS:
        text = re.sub(pattern, mask, text)
    return text
