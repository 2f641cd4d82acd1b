"""Reads the certificates that this computer trusts.

Linux     the distribution's bundle, or SSL_CERT_FILE, as OpenSSL and Go use it
macOS     the keychains in use; Apple's own roots are in none of them
Windows   the stores ROOT and CA
"""

import base64
import binascii
import contextlib
import logging
import os
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

from vm.errors import HostError
from vm.host import process
from vm.messages.host import CERTIFICATES_UNREADABLE

log = logging.getLogger(__name__)

# Debian and Arch, Fedora, openSUSE, Alpine.
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
SHIPPED = Path("/usr/share/ca-certificates")  # Debian's and Alpine's package has its files here
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([\w+/=\s]+)-----END CERTIFICATE-----")


def read() -> tuple[bytes, ...]:
    """Each certificate once, as DER; () where the system has no store. Raises HostError."""
    if sys.platform == "win32":
        stores = [entry for name in ("ROOT", "CA") for entry in ssl.enum_certificates(name)]
        found = [data for data, encoding, _ in stores if encoding == "x509_asn"]
    elif sys.platform == "darwin":
        done = process.run(["security", "find-certificate", "-a", "-p"], timeout=30)
        found = list(decode(done.stdout))
    else:
        found = list(decode(_bundle()))
    return tuple(dict.fromkeys(found))


def shipped() -> frozenset[bytes]:
    """Those that the distribution has put into its bundle, as DER, as far as that is known."""
    found: set[bytes] = set()
    for path in SHIPPED.rglob("*.crt"):
        with contextlib.suppress(OSError):
            found.update(decode(path.read_bytes()))
    return frozenset(found)


def decode(pem: bytes) -> Iterator[bytes]:
    """The certificates in a text, as DER, without damaged ones."""
    for block in _PEM.finditer(pem):
        try:
            yield base64.b64decode(b"".join(block[1].split()), validate=True)
        except binascii.Error as error:
            log.warning("a damaged certificate in the trust store: %s", error)


def _bundle() -> bytes:
    given = os.environ.get("SSL_CERT_FILE")
    try:
        if given:
            return Path(given).read_bytes()
        return next((Path(path).read_bytes() for path in BUNDLES if os.path.exists(path)), b"")
    except OSError as error:
        raise HostError(
            CERTIFICATES_UNREADABLE,
            error=error,
            details=str(error),
        ) from error
