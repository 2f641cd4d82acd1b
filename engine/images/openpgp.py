"""Takes one public key out of an OpenPGP key file, by its fingerprint.

What else is in the file is left out, so a server cannot add keys of its own. The program that uses
the key checks the signatures in it. Format: RFC 9580.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator

_BEGIN, _END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC_KEY = 6  # the type of the packet that starts a key
_VERSION = 4
_LINE = 64  # characters of base64


def only_key(file: bytes, fingerprint: str) -> str:
    """The key with its signatures and subkeys, ASCII-armored; empty if the file does not have it.

    Raises ValueError for a file that has no such format.
    """
    kept = bytearray()
    is_wanted = False
    for kind, body, packet in _packets(_binary(file)):
        if kind == _PUBLIC_KEY:
            is_wanted = not kept and _fingerprint(body) == fingerprint
        if is_wanted:
            kept += packet
    return _armored(bytes(kept)) if kept else ""


def _fingerprint(body: bytes) -> str:
    """Of a key of version 4 (section 5.5.4.2); empty for others."""
    if body[:1] != bytes([_VERSION]):
        return ""
    head = b"\x99" + len(body).to_bytes(2)
    return hashlib.sha1(head + body, usedforsecurity=False).hexdigest().upper()


def _packets(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Type, body and whole bytes of each packet (section 4.2)."""
    start = 0
    while start < len(data):
        tag = data[start]
        if not tag & 0x80:
            raise ValueError(f"no packet at {start}")
        if tag & 0x40:
            kind, (size, at) = tag & 0x3F, _new_length(data, start + 1)
        else:
            kind, (size, at) = tag >> 2 & 0x0F, _old_length(data, start + 1, tag & 0x03)
        end = at + size
        if end > len(data):
            raise ValueError(f"the packet at {start} is cut off")
        yield kind, data[at:end], data[start:end]
        start = end


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """The length, and where the body begins."""
    first = _number(data, at, 1)
    if first < 192:
        return first, at + 1
    if first < 224:
        return (first - 192 << 8) + _number(data, at + 1, 1) + 192, at + 2
    if first == 255:
        return _number(data, at + 1, 4), at + 5
    raise ValueError("a key has no partial lengths")


def _old_length(data: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind == 3:
        raise ValueError("a packet has no length")
    size = 1 << kind
    return _number(data, at, size), at + size


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise ValueError("a length is cut off")
    return int.from_bytes(data[at : at + size])


def _binary(file: bytes) -> bytes:
    """Without the armor (section 6), if it has one."""
    begin = file.find(_BEGIN)
    if begin < 0:
        return file
    block, end, _rest = file[begin + len(_BEGIN) :].partition(_END)
    head, empty, text = block.replace(b"\r\n", b"\n").partition(b"\n\n")
    if not end or not empty or any(b":" not in line for line in head.split()[::2]):
        raise ValueError("the armor is not complete")
    lines = (line for line in text.split(b"\n") if not line.startswith(b"="))  # a checksum
    try:
        return base64.b64decode(b"".join(lines), validate=True)
    except binascii.Error as error:
        raise ValueError("the armor is not base64") from error


def _armored(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN.decode(), "", *lines, _END.decode(), ""])
