"""Reads a kernel's description of its own types (BTF): sizes, offsets, constants, parameters.

With it a module is compiled for exactly this kernel without its headers, which would be another
sixty megabytes and a compiler to download. Only the kinds of types that this needs are decoded; see
Documentation/bpf/btf.rst in Linux. Next: `event_module.py`.
"""

import struct
from collections.abc import Iterator

from engine.messages.image import (
    KERNEL_NO_BTF,
    KERNEL_NO_ENUMERATOR,
    KERNEL_NO_MEMBER,
    KERNEL_NO_TYPE,
)
from vm.errors import HostError

HEADER = struct.Struct("<HBBIIIII")  # magic, version, flags, its length, types, strings
START = struct.pack("<HBBI", 0xEB9F, 1, 0, HEADER.size)
TYPE = struct.Struct("<III")  # name, kind and count, size or type
STRUCT, ENUM, FUNCTION, PROTOTYPE = 4, 6, 12, 13
# The bytes after the twelve of a type: once, and for each of its `count` entries.
TAIL = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0)}
TAIL |= {15: (0, 12), 17: (4, 0), 19: (0, 12)}


class Types:
    """Raises HostError where the kernel has no BTF, or lacks a requested type."""

    def __init__(self, kernel: bytes) -> None:
        at = kernel.find(START)
        if at < 0:
            raise HostError(KERNEL_NO_BTF)
        _, _, _, length, types, size, strings, _ = HEADER.unpack_from(kernel, at)
        self._strings = kernel[at + length + strings :]
        self._data = kernel[at + length + types : at + length + types + size]
        self._kept: dict[tuple[int, str], tuple[int, bytes]] = {}
        self._numbered: dict[int, int] = {}  # parameters of a prototype, by the type's number
        for number, (kind, name, value, tail, count) in enumerate(self._types(), start=1):
            if kind in (STRUCT, ENUM, FUNCTION) and name:
                self._kept.setdefault((kind, self._string(name)), (value, tail))
            if kind == PROTOTYPE:
                self._numbered[number] = count

    def size(self, name: str) -> int:
        """The size of a struct, in bytes."""
        return self._find(STRUCT, name)[0]

    def offset(self, name: str, member: str) -> int:
        """The offset of a struct's member, in bytes. Members of an anonymous struct inside are not
        found."""
        for named, _, bits in struct.iter_unpack("<III", self._find(STRUCT, name)[1]):
            if self._string(named) == member:
                return (int(bits) & 0xFFFFFF) // 8  # above them: the width of a bit field
        raise HostError(KERNEL_NO_MEMBER, member=member, name=name)

    def constant(self, name: str, word: str) -> int:
        """The value of an enumerator."""
        for named, value in struct.iter_unpack("<Ii", self._find(ENUM, name)[1]):
            if self._string(named) == word:
                return int(value)
        raise HostError(KERNEL_NO_ENUMERATOR, word=word, name=name)

    def parameters(self, function: str) -> int:
        """The number of parameters of a function."""
        return self._numbered.get(self._find(FUNCTION, function)[0], -1)

    def _find(self, kind: int, name: str) -> tuple[int, bytes]:
        if (kind, name) not in self._kept:
            raise HostError(KERNEL_NO_TYPE, name=name)
        return self._kept[kind, name]

    def _types(self) -> Iterator[tuple[int, int, int, bytes, int]]:
        at = 0
        while at < len(self._data):
            name, info, value = TYPE.unpack_from(self._data, at)
            kind, count = info >> 24 & 0x1F, info & 0xFFFF
            once, each = TAIL.get(kind, (0, 0))
            at += TYPE.size + once + each * count
            yield kind, name, value, self._data[at - once - each * count : at], count

    def _string(self, at: int) -> str:
        return self._strings[at : self._strings.index(b"\0", at)].decode()
