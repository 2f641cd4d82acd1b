"""Opens a file of a server or a folder at a place in it. Next: `download.py`."""

import http.client
import re
import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPMessage, HTTPResponse
from io import BufferedReader
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import msgspec

from engine import __version__
from engine.images.address import check, local_path, shown
from engine.messages.feed import (
    DOWNLOAD_CERTIFICATE,
    DOWNLOAD_FAILED,
    DOWNLOAD_NO_FILE,
    DOWNLOAD_NOT_READ,
    DOWNLOAD_REDIRECTED,
    DOWNLOAD_STATUS,
)
from vm.errors import GalleyError, HostError, Retry

# What reading an address can raise. ValueError: a name that is no host's.
FAILURES = (OSError, http.client.HTTPException, GalleyError, ValueError)
NOT_SATISFIABLE = 416  # the file ends before the place
AGAIN_LATER = (408, 429)
LONGER = 5.0  # seconds: the reader's patience ends before the socket's
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Access(msgspec.Struct, frozen=True):
    """How servers are reached. `proxies`: by scheme; None for the system's. `insecure`: http is
    allowed. One that sends less than `slowest` bytes a second for `patience` seconds is given up.
    """

    proxies: Mapping[str, str] | None = None
    insecure: bool = False
    slowest: int = 1024
    patience: float = 30.0


class Source(msgspec.Struct, frozen=True):
    """`start`: the place of the first byte. `size`: the whole file's, if it is known."""

    stream: HTTPResponse | BufferedReader
    start: int
    size: int | None


def open_at(address: str, start: int, access: Access) -> Source:
    """At `start`, or at 0 when the server cannot. Raises FAILURES."""
    check(address, insecure=access.insecure)
    path = local_path(address)
    return _open_url(address, start, access) if path is None else _open_file(path, start)


def explain(address: str, error: BaseException) -> GalleyError:
    """The error for users."""
    if isinstance(error, GalleyError):
        return error
    if isinstance(error, urllib.error.HTTPError):
        again = error.code >= 500 or error.code in AGAIN_LATER
        return HostError(
            DOWNLOAD_STATUS,
            address=shown(address),
            status=error.code,
            reason=error.reason,
            retry=Retry.YES if again else Retry.NO,
        )
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    reason = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or repr(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return HostError(
            DOWNLOAD_CERTIFICATE,
            address=shown(address),
            reason=cause.verify_message or reason,
            retry=Retry.NO,
        )
    message = DOWNLOAD_FAILED if local_path(address) is None else DOWNLOAD_NOT_READ
    details = repr(cause)
    return HostError(
        message, address=shown(address), reason=reason, details=details, retry=Retry.YES
    )


def _open_file(path: Path, start: int) -> Source:
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe waits for its other end
        raise HostError(DOWNLOAD_NOT_READ, address=path, reason=DOWNLOAD_NO_FILE, retry=Retry.NO)
    stream = path.open("rb")
    size = stream.seek(0, 2)
    return Source(stream, stream.seek(start if start <= size else 0), size)


def _open_url(address: str, start: int, access: Access) -> Source:
    request = urllib.request.Request(address)
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response: HTTPResponse = _opener(access).open(request, timeout=access.patience + LONGER)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == NOT_SATISFIABLE and start:
            return _open_url(address, 0, access)
        raise
    part = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == http.client.PARTIAL_CONTENT and start:
        if part is None or int(part[1]) != start:
            response.close()
            return _open_url(address, 0, access)
        return Source(response, start, None if part[2] == "*" else int(part[2]))
    return Source(response, 0, response.length)


def _opener(access: Access) -> urllib.request.OpenerDirector:
    """Without the handlers of other schemes."""
    proxies = None if access.proxies is None else dict(access.proxies)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_context()),
        _SecureRedirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"Galley/{__version__}")]
    return opener


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Certificates of companies' own authorities often lack fields that Python 3.13 demands.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise HostError(
                DOWNLOAD_REDIRECTED,
                address=shown(req.full_url),
                target=shown(newurl),
                retry=Retry.NO,
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
