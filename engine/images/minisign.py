"""Verifies signatures of the program minisign: Ed25519, with a trusted comment.

A signature file has four lines: an untrusted comment, the signature, a trusted comment, and a
second signature of the first one and the trusted comment. `Ed` signs the data themselves, `ED`
their BLAKE2b hash.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from engine.messages.feed import (
    SIGNATURE_BAD_KEY,
    SIGNATURE_MALFORMED,
    SIGNATURE_UNKNOWN_KEY,
    SIGNATURE_WRONG,
)
from vm.errors import HostError, Retry, SettingsError

PLAIN, HASHED = b"Ed", b"ED"
UNTRUSTED, TRUSTED = "untrusted comment: ", "trusted comment: "
KEY_BYTES, SIGNATURE_BYTES, GLOBAL_BYTES = 42, 74, 64
LARGEST = 16 << 10  # bytes of a signature file; minisign's comments are shorter


class PublicKey(msgspec.Struct, frozen=True):
    """`key_id`: 8 bytes, the same in each of its signatures. `key`: Ed25519, 32 bytes."""

    key_id: bytes
    key: bytes

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Of the base64 line, or of minisign's file with a comment above it. Raises
        SettingsError."""
        lines = _lines(text.strip())
        has_comment = len(lines) == 2 and lines[0].startswith(UNTRUSTED.rstrip())
        data = _decode(lines[-1], KEY_BYTES) if len(lines) == 1 or has_comment else None
        if data is None or data[:2] != PLAIN:
            raise SettingsError(SIGNATURE_BAD_KEY, key=text.strip())
        return cls(data[2:10], data[10:])

    @property
    def name(self) -> str:
        """As minisign shows it."""
        return _name(self.key_id)

    def has_signed(self, data: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, data)
        except InvalidSignature:
            return False
        return True


def verify(data: bytes, signature: str, keys: Sequence[PublicKey]) -> str:
    """The trusted comment of a signature file for `data` by one of `keys`. Raises HostError."""
    lines = _lines(signature.removesuffix("\n"))
    if len(signature) > LARGEST or len(lines) != 4:
        raise _malformed()
    signed, total = _decode(lines[1], SIGNATURE_BYTES), _decode(lines[3], GLOBAL_BYTES)
    has_comments = lines[0].startswith(UNTRUSTED.rstrip()) and lines[2].startswith(TRUSTED)
    if signed is None or total is None or not has_comments:
        raise _malformed()
    kind, key_id, own = signed[:2], signed[2:10], signed[10:]
    if kind not in (PLAIN, HASHED):
        raise _malformed()
    key = next((one for one in keys if one.key_id == key_id), None)
    if key is None:
        raise HostError(SIGNATURE_UNKNOWN_KEY, key=_name(key_id), retry=Retry.NO)
    content = hashlib.blake2b(data).digest() if kind == HASHED else data
    comment = lines[2].removeprefix(TRUSTED)
    if not key.has_signed(content, own) or not key.has_signed(own + comment.encode(), total):
        raise HostError(SIGNATURE_WRONG, key=key.name)
    return comment


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.split("\n")]


def _decode(line: str, size: int) -> bytes | None:
    """Base64 of `size` bytes."""
    try:
        data = base64.b64decode(line.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if len(data) == size else None


def _name(key_id: bytes) -> str:
    return key_id[::-1].hex().upper()


def _malformed() -> HostError:
    return HostError(SIGNATURE_MALFORMED)
