"""Certificates that this computer trusts and Debian does not, which dockerd is to trust as well.

Most of a trust store is the same everywhere; what the guest image has is not sent. The rest is a
boot file, and the guest adds it to its own store before dockerd starts and reads it. The guest
reports on its console which ones it has, so that a start needs no extra request. Next:
`vm/host/trust_store.py`, `provisioning.py`.
"""

import hashlib
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from engine.messages.guest import CERTIFICATES_ENDED, CERTIFICATES_NOT_TAKEN
from vm.errors import EngineFailed, GalleyError, HostError, Problem
from vm.guest.protocol import Guest
from vm.host import trust_store
from vm.image import CERTIFICATES

log = logging.getLogger(__name__)

COMMAND = "/usr/lib/galley/certificates"
BOOT_FILE = "certificates.pem"
NEWS = 365 * 86400.0  # seconds after its expiry in which a certificate is reported


class Trusted(msgspec.Struct, frozen=True):
    """`pem`: what the machine is to trust in addition. `problems`: why others are left out."""

    pem: bytes = b""
    problems: tuple[Problem, ...] = ()


def wanted(image: Path | None) -> Trusted:
    """The certificates that the guest of `image` lacks; none without an image. Never raises."""
    if image is None:
        return Trusted()
    try:
        found = trust_store.read()
        own = set(trust_store.decode((image / CERTIFICATES).read_bytes()))
    except GalleyError as error:
        return Trusted(problems=(error.to_problem(),))
    except OSError:  # made by an older Galley
        return Trusted()
    return select(sorted(set(found) - own), time.time())


def select(certificates: Sequence[bytes], now: float) -> Trusted:
    """Those that can be used at `now`, seconds since the epoch. One that the distribution ships is
    no problem when it ends: only an update of the distribution removes it."""
    kept: list[bytes] = []
    ended: dict[bytes, Problem] = {}
    for data in certificates:
        try:
            name, ends = _describe(data)
        except (ssl.SSLError, ValueError) as error:
            log.warning("a certificate in the trust store cannot be used: %s", error)
            continue
        age = now - ssl.cert_time_to_seconds(ends) if ends else -1.0
        if age < 0:
            kept.append(ssl.DER_cert_to_PEM_cert(data).encode())
        elif age < NEWS:
            ended[data] = _expired(name, ends)
    shipped = trust_store.shipped() if ended else frozenset()
    problems = tuple(problem for data, problem in ended.items() if data not in shipped)
    return Trusted(b"".join(kept), problems)


def update_guest(guest: Guest, pem: bytes, console: Sequence[str]) -> bool:
    """Send them to the machine. Returns whether it had others, so that dockerd has to restart.

    Raises EngineFailed, GuestUnreachable.
    """
    has = next((line for line in reversed(console) if line.startswith("certificates ")), "")
    if has.removeprefix("certificates ").strip() in _names_of(pem):
        return False
    done = guest.run((COMMAND, "keep"), stdin=pem)
    if not done.ok:
        raise EngineFailed(
            CERTIFICATES_NOT_TAKEN,
            details=done.tail(),
        )
    return True


def _names_of(pem: bytes) -> tuple[str, ...]:
    """The words in the console line of a guest that has `pem`; without any, most guests print no
    line."""
    digest = hashlib.sha256(pem).hexdigest()
    return (digest,) if pem else (digest, "")


def _describe(data: bytes) -> tuple[str, str]:
    """Subject and expiry; "" for a certificate that is no authority, which OpenSSL does not
    describe. Raises SSLError, ValueError for invalid data."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=data)
    for certificate in context.get_ca_certs():
        return _subject(certificate), str(certificate["notAfter"])
    return "", ""


def _expired(name: str, ends: str) -> Problem:
    return HostError(
        CERTIFICATES_ENDED,
        name=name,
        ends=ends,
    ).to_problem()


def _subject(certificate: Mapping[str, object]) -> str:
    """Its common name, or else its organization."""
    parts = certificate.get("subject")
    assert isinstance(parts, tuple)
    names = dict(pair for part in parts for pair in part)
    return str(names.get("commonName") or names.get("organizationName") or "an unnamed authority")
