"""How dockerd reads requests: Go's net/http, gorilla/mux and encoding/json, reimplemented.

The fuzzer of creations uses it to find what dockerd would mount of a request that the bridge
forwards. It shares no code with `engine.bridge`. If Go refuses a request, the stream ends there:
dockerd answers 400 and closes. Errors that dockerd finds later (types of fields that Galley does
not read, modes, targets) are not modelled. Next: `test_creations.py`.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:(?://[^/?]*)?(?=/)")
_ROUTE = re.compile(
    rb"(?:/v[0-9.]+)?/(containers/create|services/create|services/[^/]+/update)(?<!\n)"
)
_DEEP = re.compile(r"(\[{300,})(\]{300,})")
_FOLDS = str.maketrans({"\u017f": "s", "\u212a": "k"})  # unicode.SimpleFold of non-ASCII letters
_POINTERS = ("HostConfig", "ContainerSpec", "BindOptions")

# The shape of the fields that Galley reads; "*" is any key of a map.
type _Shape = str | bool | float | list[_Shape] | dict[str, _Shape]
_MOUNTS: _Shape = [
    {"Type": "", "Source": "", "Target": "", "BindOptions": {"CreateMountpoint": False}}
]
_HOST: dict[str, _Shape] = {"Binds": [""], "Mounts": _MOUNTS, "Tmpfs": {"*": ""}}
_CONTAINER: _Shape = {"Image": "", "Env": [""], "HostConfig": _HOST, **_HOST}
_PORT: _Shape = {"Protocol": "", "TargetPort": 0.0, "PublishedPort": 0.0, "PublishMode": ""}
_SERVICE: _Shape = {
    "Name": "",
    "TaskTemplate": {"ContainerSpec": {"Env": [""], "Mounts": _MOUNTS}},
    "EndpointSpec": {"Ports": [_PORT]},
}

type Headers = dict[bytes, list[bytes]]


class Refused(Exception):
    """Go refuses the request."""


class _Object(list[tuple[str, object]]):
    """A JSON object with all its members in order, also repeated ones."""


def bind_sources(stream: bytes) -> Iterator[str]:
    """The sources of bind mounts in the stream's create requests."""
    try:
        while stream:
            target, headers, stream, proto = _head(stream)
            body, stream = _body(headers, stream, proto)
            if target is not None and (found := _ROUTE.fullmatch(target)):
                yield from _sources(body, service=found[1].startswith(b"services"))
    except Refused:
        return


# Like net/http


def _line(data: bytes) -> tuple[bytes, bytes]:
    line, ended, rest = data.partition(b"\n")
    if not ended:
        raise Refused
    return line.removesuffix(b"\r"), rest


def _head(data: bytes) -> tuple[bytes | None, Headers, bytes, bytes]:
    """Parses a head. The decoded path of a POST, or None; headers, rest, protocol."""
    first, data = _line(data.lstrip(b"\r\n"))
    words = first.split(b" ")
    # Go accepts any token as a method. The bridge accepts capital letters only, because input for a
    # container must not be held back until it is known not to be a request.
    if len(words) != 3 or not re.fullmatch(rb"[A-Z]+", words[0]):
        raise Refused
    method, target, proto = words
    if not re.fullmatch(rb"HTTP/1\.[0-9]", proto):
        raise Refused
    lines: list[bytes] = []
    while True:
        line, data = _line(data)
        if not line:
            break
        if line[:1] in b" \t":
            if not lines:
                raise Refused
            lines[-1] += b" " + line.strip(b" \t")
        else:
            lines.append(line)
    headers: Headers = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            raise Refused
        headers.setdefault(name.lower(), []).append(value.strip(b" \t"))
    path = _path(target)
    return path if method == b"POST" else None, headers, data, proto


def _path(target: bytes) -> bytes | None:
    if re.search(rb"[\x00-\x20\x7f]", target):
        raise Refused
    path = _SCHEME.sub(b"", target, count=1).partition(b"?")[0]
    if not path.startswith(b"/") or re.search(rb"%(?![0-9A-Fa-f]{2})", path):
        raise Refused
    path = unquote_to_bytes(path)
    return path if posixpath.normpath(path) == path else None  # mux redirects to the clean one


def _body(headers: Headers, data: bytes, proto: bytes) -> tuple[bytes, bytes]:
    encodings = headers.get(b"transfer-encoding")
    if encodings and proto != b"HTTP/1.0":
        if [one.lower() for one in encodings] != [b"chunked"]:
            raise Refused
        return _chunks(data)
    lengths = {*headers.get(b"content-length", [b"0"])}
    sent = lengths.pop()
    length = sent.lstrip(b"0") or b"0"
    if lengths or not sent.isdigit() or len(length) > 18:
        raise Refused
    # A truncated body is read as far as it arrived: a complete JSON value is enough.
    return data[: int(length)], data[int(length) :]


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, data = _line(data)
        digits = line.rstrip(b" \t").partition(b";")[0].rstrip(b" \t")
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", digits):
            raise Refused
        size = int(digits, 16)
        if size == 0:
            break
        body += data[:size]
        if data[size : size + 2] != b"\r\n":
            raise Refused
        data = data[size + 2 :]
    while line:
        line, data = _line(data)
    return body, data


# Like encoding/json


def _sources(body: bytes, *, service: bool) -> Iterator[str]:
    document = _decoded(body)
    _check(document, _SERVICE if service else _CONTAINER)
    read = _Read(document)
    if service:
        path: tuple[str, ...] = ("TaskTemplate", "ContainerSpec")
    else:  # without HostConfig, as before API 1.18
        path = ("HostConfig",) if read.is_there("HostConfig") else ()
    for bind in [] if service else read.strings((*path, "Binds")):
        source, colon, _ = bind.partition(":")
        if colon and source.startswith("/"):
            yield source
    for mount in read.mounts((*path, "Mounts")):
        kind = mount.get("Type", "").upper() or "BIND" if service else mount.get("Type")
        if kind in ("bind", "BIND") and mount.get("Source", "").startswith("/"):
            yield mount["Source"]


def _decoded(body: bytes) -> object:
    text = _DEEP.sub(
        lambda found: "[[]]" if len(found[1]) == len(found[2]) else found[0],
        body.decode(errors="replace"),
    ).lstrip(" \t\r\n")
    decoder = json.JSONDecoder(
        object_pairs_hook=_Object, parse_int=float, parse_constant=_no_constant
    )
    try:
        value, end = decoder.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise Refused from error
    if text[end:].lstrip(" \t\r\n")[:1] not in ("", "}", "]"):  # json.Decoder.More
        raise Refused
    return value


def _no_constant(_: str) -> float:
    raise ValueError


def _check(value: object, shape: _Shape) -> None:
    """Raises Refused for a wrong type, as Go does after decoding."""
    if value is None:
        return
    if isinstance(shape, dict):
        for key, inner in _object(value):
            for name in shape:
                if name == "*" or _folded(key) == _folded(name):
                    _check(inner, shape[name])
    elif isinstance(shape, list):
        for inner in _items(value):
            _check(inner, shape[0])
    elif not isinstance(value, type(shape)) or not _is_uint32(value):
        raise Refused


def _is_uint32(value: object) -> bool:
    """Whether a number is a uint32; true for other types."""
    return not isinstance(value, float) or (value.is_integer() and 0 <= value < 1 << 32)


def _object(value: object) -> _Object:
    if not isinstance(value, _Object):
        raise Refused
    return value


def _items(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list) or isinstance(value, _Object):
        raise Refused
    return value


class _Read:
    """The content of Go's structs after decoding, where repeated keys are merged."""

    def __init__(self, document: object) -> None:
        self._document = document

    def is_there(self, name: str) -> bool:
        """Whether a pointer is set after decoding."""
        return [None, *self._values(self._document, (name,))][-1] is not None

    def strings(self, path: tuple[str, ...]) -> list[str]:
        held: list[str] = []
        size = 0
        for value in self._values(self._document, path):
            size = len(items := _items(value))
            held = [*held, *[""] * size] if items else []  # elements behind a shorter list are kept
            for at, one in enumerate(items):
                held[at] = held[at] if one is None else _string(one)
        return held[:size]

    def mounts(self, path: tuple[str, ...]) -> list[dict[str, str]]:
        held: list[dict[str, str]] = []
        size = 0
        for value in self._values(self._document, path):
            size = len(items := _items(value))
            held = [*held, *({} for _ in items[len(held) :])] if items else []
            for at, one in enumerate(items):
                self._fill(held[at], one)
        return held[:size]

    def _fill(self, mount: dict[str, str], value: object) -> None:
        for name in ("Type", "Source"):
            for found in self._values(value, (name,)):
                if found is not None:
                    mount[name] = _string(found)
        for found in self._values(value, ("BindOptions", "CreateMountpoint")):
            if not isinstance(found, bool | None):
                raise Refused

    def _values(
        self, value: object, path: tuple[str, ...], *, pointer: bool = False
    ) -> Iterator[object]:
        """All values at `path`, in order. A null for a pointer on the path sets everything below it
        to null."""
        if not path or (value is None and pointer):
            yield value
            return
        if value is None:
            return
        for key, inner in _object(value):
            if _folded(key) == _folded(path[0]):
                yield from self._values(inner, path[1:], pointer=path[0] in _POINTERS)


def _folded(key: str) -> str:
    return key.translate(_FOLDS).lower() if key.translate(_FOLDS).isascii() else key


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Refused
    return re.sub("[\ud800-\udfff]", "\ufffd", value)
