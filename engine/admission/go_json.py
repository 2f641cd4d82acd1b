"""JSON as dockerd's decoder, Go's encoding/json, reads it; what is not changed stays byte for byte.

`read` decodes a document into a frozen msgspec struct that declares the fields of interest under
dockerd's names. `Document.encode` writes a changed copy of that struct: values that differ are
replaced in the original bytes.

Go compares keys without regard to case, and takes U+017F for "s" and the Kelvin sign for "k". When
a field occurs more than once, each value is decoded into the same variable: a string keeps the last
one, the members of objects add up, elements of lists merge index by index (an element beyond a
shorter list comes back with a longer one), and null resets what is optional, a list or a map, and
changes nothing else. `encode` writes such a field once, with the same effect, so that dockerd
cannot read it in another way.

Field types and what they stand for in Go: `str`, `bool`, `int`; a struct is a struct by value, and
`Struct | None` a pointer to one; `tuple[T, ...]` is a slice and `dict[str, str]` a map. Next:
`create_request.py`.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    IntType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(_STRING + rb"|[\[\]{},]", re.DOTALL)
_KEY = re.compile(rb"\s*(" + _STRING + rb")\s*:\s*", re.DOTALL)
_SCALARS: Mapping[type[Type], type] = {StrType: str, BoolType: bool, IntType: int}


class _Node(msgspec.Struct, frozen=True):
    """A value in the document. `value` is None for null. `frame`: the brackets of an object or a
    list, with the white space around them."""

    raw: bytes
    value: Any = None
    frame: tuple[bytes, bytes] = (b"", b"")
    members: "tuple[_Member, ...]" = ()


class _Member(msgspec.Struct, frozen=True):
    """A member of an object, or an element of a list. `key`: up to the value, empty in a list.
    `field`: the attribute of the struct, empty for a key that it does not declare."""

    key: bytes
    field: str
    node: _Node


class Document[V: msgspec.Struct]:
    """A decoded body. `value` is what dockerd reads of it."""

    def __init__(self, node: _Node, value: V) -> None:
        self._node = node
        self.value = value

    def encode(self, value: V) -> bytes:
        """The document with `value` in place of what was read; the original bytes where it is the
        same and no field occurs twice."""
        return self._node.raw if value == self.value else _spliced(self._node, value)


def read[V: msgspec.Struct](body: bytes, kind: type[V]) -> Document[V]:
    """Decode an object. Raises msgspec.ValidationError for a value of another type than Go would
    accept, including a document that is no object, and the other errors of
    `engine.json_input.UNREADABLE` for what is no JSON in UTF-8."""
    msgspec.json.decode(body, type=msgspec.Raw)  # checks the whole document; the rest relies on it
    node = _read(_kind(kind), [body])
    if not isinstance(node.value, kind):
        raise msgspec.ValidationError("Expected `object`, got `null`")
    return Document(node, node.value)


@functools.cache
def _kind(kind: type) -> Type:
    return type_info(kind)


# --- reading ------------------------------------------------------------------------------------


def _read(kind: Type, values: Sequence[bytes]) -> _Node:
    """What a Go variable of this kind holds after it was decoded into from each of `values`."""
    kind, is_optional = _without_none(kind)
    if is_optional or isinstance(kind, VarTupleType | DictType):
        given = _after_last(values, _is_null)
        _check(kind, values[: len(values) - len(given)])
    else:
        given = [value for value in values if not _is_null(value)]
    if not given:
        return _Node(values[-1])
    match kind:
        case StructType():
            return _read_struct(kind, given)
        case VarTupleType():
            return _read_list(kind.item_type, given)
        case DictType():
            return _read_map(given)
        case _:
            scalar = _SCALARS[type(kind)]
            decoded: list[Any] = [msgspec.json.decode(value, type=scalar) for value in given]
            return _Node(given[-1], decoded[-1])


def _check(kind: Type, replaced: Iterable[bytes]) -> None:
    """Go refuses a wrong type also where a later value replaces it."""
    for value in replaced:
        if not _is_null(value):
            _read(kind, [value])


def _read_struct(kind: StructType, values: Sequence[bytes]) -> _Node:
    frame, members = _members(values)
    attributes = {_folded(field.encode_name): field.name for field in kind.fields}
    names = [attributes.get(_folded(key), "") for _, key, _ in members]
    given: dict[str, list[bytes]] = {}
    for name, (_, _, value) in zip(names, members, strict=True):
        given.setdefault(name, []).append(value)
    nodes = {
        field.name: _read(field.type, given[field.name])
        for field in kind.fields
        if field.name in given
    }
    last = {name: at for at, name in enumerate(names)}
    kept = tuple(
        _Member(written, name, nodes[name] if name else _Node(value))
        for at, (name, (written, _, value)) in enumerate(zip(names, members, strict=True))
        if not name or last[name] == at
    )
    fields = {name: node.value for name, node in nodes.items() if node.value is not None}
    return _joined(frame, kept, kind.cls(**fields))


def _read_list(item: Type, values: Sequence[bytes]) -> _Node:
    lists = [_split(value, b"[") for value in values]
    frame, last = lists[-1]
    given = _after_last([items for _, items in lists], _is_empty)
    for _, items in lists[: len(lists) - len(given)]:
        _check(item, items)
    for items in given:
        _check(item, items[len(last) :])
    nodes = [
        _read(item, [items[at] for items in given if at < len(items)]) for at in range(len(last))
    ]
    value = tuple(_zero(item) if node.value is None else node.value for node in nodes)
    return _joined(frame, tuple(_Member(b"", "", node) for node in nodes), value)


def _read_map(values: Sequence[bytes]) -> _Node:
    """A map of strings."""
    frame, members = _members(values)
    kept = tuple(_Member(written, "", _Node(value)) for written, _, value in members)
    texts = {key: msgspec.json.decode(value, type=str | None) or "" for _, key, value in members}
    return _joined(frame, kept, texts)


def _joined(frame: tuple[bytes, bytes], members: tuple[_Member, ...], value: Any) -> _Node:
    return _Node(
        _text(frame, [each.key + each.node.raw for each in members]), value, frame, members
    )


def _without_none(kind: Type) -> tuple[Type, bool]:
    if not isinstance(kind, UnionType):
        return kind, False
    (inner,) = (one for one in kind.types if not isinstance(one, NoneType))
    return inner, True


def _zero(kind: Type) -> Any:
    return kind.cls() if isinstance(kind, StructType) else _SCALARS[type(kind)]()


def _after_last[T](values: Sequence[T], resets: Callable[[T], bool]) -> Sequence[T]:
    ends = [at for at, value in enumerate(values) if resets(value)]
    return values[ends[-1] + 1 :] if ends else values


def _is_null(value: bytes) -> bool:
    return value.strip() == b"null"


def _is_empty(items: list[bytes]) -> bool:
    return not items


def _folded(key: str) -> str:
    return key.replace("\u017f", "s").lower()  # which takes the Kelvin sign for "k"


# --- the bytes of objects and lists -------------------------------------------------------------


def _members(values: Sequence[bytes]) -> tuple[tuple[bytes, bytes], list[tuple[bytes, str, bytes]]]:
    """The frame of the last object, and the members of all of them in order: the text before a
    value, its key and the value."""
    objects = [_split(value, b"{") for value in values]
    found = []
    for piece in itertools.chain.from_iterable(pieces for _, pieces in objects):
        key = _KEY.match(piece)
        assert key is not None, "read() has checked the document"
        name = msgspec.json.decode(key[1], type=str)
        found.append((key[0], name, piece[key.end() :]))
    return objects[-1][0], found


def _split(raw: bytes, bracket: bytes) -> tuple[tuple[bytes, bytes], list[bytes]]:
    """The frame of an object or a list, and what its commas separate. Raises ValidationError for
    another type."""
    begin, end = len(raw) - len(raw.lstrip()), len(raw.rstrip()) - 1
    if raw[begin : begin + 1] != bracket:
        raise msgspec.ValidationError("Expected an object or a list, got another type")
    depth, cuts = 0, []
    for token in _TOKEN.finditer(raw):
        sign = raw[token.start()]
        if sign in b"{[":
            depth += 1
        elif sign in b"}]":
            depth -= 1
        elif sign in b"," and depth == 1:
            cuts.append(token.start())
    pieces = [raw[start + 1 : stop] for start, stop in itertools.pairwise((begin, *cuts, end))]
    if len(pieces) == 1 and not pieces[0].strip():
        return (raw[:end], raw[end:]), []
    return (raw[: begin + 1], raw[end:]), pieces


def _text(frame: tuple[bytes, bytes], pieces: Sequence[bytes]) -> bytes:
    return frame[0] + b",".join(pieces) + frame[1]


# --- writing ------------------------------------------------------------------------------------


def _spliced(node: _Node, value: Any) -> bytes:
    """The node's bytes with `value`, which differs from its own, in place."""
    if isinstance(value, tuple) and node.value is not None and len(value) >= len(node.members):
        return _text(node.frame, _items(node, value))
    if isinstance(value, msgspec.Struct) and node.value is not None:
        return _text(node.frame, _fields(node, value))
    return msgspec.json.encode(value)


def _items(node: _Node, value: tuple[Any, ...]) -> list[bytes]:
    kept = zip(node.members, node.value, value, strict=False)
    added = value[len(node.members) :]
    return [
        *(each.node.raw if old == new else _spliced(each.node, new) for each, old, new in kept),
        *map(msgspec.json.encode, added),
    ]


def _fields(node: _Node, value: msgspec.Struct) -> list[bytes]:
    names = dict(zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True))
    changed = {
        name: new for name in names if (new := getattr(value, name)) != getattr(node.value, name)
    }
    texts = [
        each.key
        + (_spliced(each.node, changed.pop(each.field)) if each.field in changed else each.node.raw)
        for each in node.members
    ]
    return [
        *texts,
        *(
            b'"%s":%s' % (names[name].encode(), msgspec.json.encode(new))
            for name, new in changed.items()
        ),
    ]
