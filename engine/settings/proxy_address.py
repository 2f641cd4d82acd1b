"""Addresses of proxies: http://USER@HOST:PORT.

An address has a password only on its way from the user's input to the keyring. Next:
`engine/provisioning/proxy_auth_forwarder.py`.
"""

import re
from urllib.parse import quote, unquote, urlsplit

from engine.messages.settings import PROXY_ONLY_HTTP
from vm.errors import SettingsError


def parse(given: str) -> str:
    """ "http://example.com:3128" of that or of "example.com:3128"; "" of "". User and password may
    be written as they are. Raises ValueError, SettingsError; neither contains the input."""
    address = given.strip()
    if not address:
        return ""
    scheme, rest = address.split("://", 1) if "://" in address else ("http", address)
    login, at, place = rest.rpartition("@")
    parts = urlsplit(f"{scheme}://{place}")
    is_plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https", "socks5") or not is_plain:
        raise ValueError("not the address of a proxy")
    if not re.fullmatch(r"[\w.:-]+", host) or parts.port == 0:
        raise ValueError("no computer and port")
    if at and parts.scheme != "http":
        raise SettingsError(
            PROXY_ONLY_HTTP,
        )
    user, _, password = (quote(unquote(part), safe="") for part in (*login.partition(":"),))
    if at and not user:
        raise ValueError("no user")
    before = user + (f":{password}" if password else "") + at
    return f"{parts.scheme}://{before}{parts.netloc}"


def wants_login(address: str) -> bool:
    return "@" in address


def split(address: str) -> tuple[str, str]:
    """The address without its password, and the decoded password. `address`: of `parse`."""
    scheme, rest = address.split("://", 1) if address else ("", "")
    login, at, place = rest.rpartition("@")
    user, _, password = login.partition(":")
    return (f"{scheme}://{user}{at}{place}" if address else ""), unquote(password)


def user(address: str) -> str:
    return unquote(urlsplit(address).username or "")


def hidden(given: str) -> str:
    """`given` without its login, to be shown; it may be invalid."""
    return re.sub(r"(?s).*@", "…@", given)
