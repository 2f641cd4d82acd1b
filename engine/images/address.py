"""What addresses of files may be: https, http on request, `file:` and full paths of folders."""

import ipaddress
import os
import re
from pathlib import Path
from urllib.parse import quote, urlsplit

from engine.messages.feed import DOWNLOAD_BAD_ADDRESS, DOWNLOAD_HAS_LOGIN, DOWNLOAD_INSECURE
from vm.errors import SettingsError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters: `C:` is a drive
_HERE = ("", "localhost")


def check(address: str, *, insecure: bool = False) -> None:
    """Raises SettingsError. `insecure`: http is allowed for other computers, too."""
    if _scheme(address) not in ("https", "http"):
        local_path(address)
        return
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _bad(address) from error
    if not host or not address.isascii() or not address.isprintable() or " " in address:
        raise _bad(address)
    if parts.username is not None or parts.password is not None:
        raise SettingsError(DOWNLOAD_HAS_LOGIN)
    if parts.scheme == "http" and not insecure and not _is_loopback(host):
        raise SettingsError(DOWNLOAD_INSECURE, address=shown(address))


def join(address: str, name: str) -> str:
    """The address of a file below another; a query stays at the end."""
    if _scheme(address) is None:
        return str(Path(address) / name)
    parts = urlsplit(address)
    return parts._replace(path=parts.path.rstrip("/") + "/" + quote(name), fragment="").geturl()


def local_path(address: str) -> Path | None:
    """Of a path or a `file:` address; None for a server's. Raises SettingsError."""
    scheme = _scheme(address)
    if scheme in ("https", "http"):
        return None
    if scheme == "file":
        from urllib.request import url2pathname  # 4 MB of memory, which the settings do not need

        parts = urlsplit(address)
        if parts.netloc in _HERE:
            path = Path(url2pathname(parts.path))
        elif os.name == "nt":  # a share
            path = Path(url2pathname(f"//{parts.netloc}{parts.path}"))
        else:
            raise _bad(address)
    else:
        path = Path(address)
    if scheme not in ("file", None) or not path.is_absolute() or "\0" in str(path):
        raise _bad(address)
    return path


def shown(address: str) -> str:
    """For messages: without the query, in which a server's tokens may be."""
    return address.partition("?")[0]


def _scheme(address: str) -> str | None:
    found = _SCHEME.match(address)
    return found[1].lower() if found else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bad(address: str) -> SettingsError:
    return SettingsError(DOWNLOAD_BAD_ADDRESS, address=shown(address))
