"""Galley's ssh key and the guest's host key. Next: `ssh.py`, which uses both."""

import base64
import binascii
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vm.errors import GuestUnreachable
from vm.host.paths import write_atomic
from vm.messages.guest import GUEST_HOST_KEY_UNKNOWN


def make_key(key: Path, public: Path) -> None:
    """Make the key pair, unless it exists. Raises HomeUnusable, DiskFull."""
    if key.exists() and public.exists():
        return
    made = Ed25519PrivateKey.generate()
    text = made.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    secret = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    write_atomic(key, secret, 0o600)
    write_atomic(public, text + b" galley\n", 0o600)


def public_blob(public: Path) -> str:
    """The base64 part of a public key file, for the kernel word `galley.key=`."""
    return public.read_text().split()[1]


def pinned_key(known_host: Path) -> str:
    """The guest's key as "ssh-ed25519 AAAA…". Raises GuestUnreachable when none is pinned yet."""
    try:
        kind, blob = known_host.read_text().split()[:2]
        base64.b64decode(blob, validate=True)
    except (FileNotFoundError, ValueError, binascii.Error) as error:
        raise GuestUnreachable(
            GUEST_HOST_KEY_UNKNOWN,
            details=f"{known_host}: {error}",
        ) from error
    return f"{kind} {blob}"
