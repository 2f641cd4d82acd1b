"""The proxy settings of a Linux desktop, as GNOME and its relatives keep them (`gsettings`).

Programs in a terminal have environment variables; one that the desktop or the session started has
not. Nothing here is an error: there may be no desktop. Next: `proxies.py`.
"""

import ast
import contextlib
import os
from urllib.parse import quote

from vm.errors import GalleyError
from vm.host import process

SCHEMA = "org.gnome.system.proxy"
PATIENCE = 5.0  # seconds
DESKTOP = ("XDG_CURRENT_DESKTOP", "DBUS_SESSION_BUS_ADDRESS", "GSETTINGS_BACKEND")  # one is set

type Keys = dict[str, object]


def found() -> dict[str, str]:
    """Addresses by protocol, and "no" for the exceptions; {} without settings."""
    if not any(map(os.environ.get, DESKTOP)):  # running it takes a twentieth of a resume
        return {}
    try:
        done = process.run(["gsettings", "list-recursively", SCHEMA], timeout=PATIENCE)
    except (GalleyError, OSError):  # also where no process can be made
        return {}
    return parse(done.stdout.decode(errors="replace")) if done.ok else {}


def parse(output: str) -> dict[str, str]:
    """From the output of `gsettings list-recursively`."""
    keys = _keys(output)
    if keys.get("mode") != "manual":
        return {}
    http = _address(keys, "http")
    https = _address(keys, "https") or (http if keys.get("use-same-proxy") else "")
    never = keys.get("ignore-hosts")
    names = [_name(one) for one in never if isinstance(one, str)] if isinstance(never, list) else []
    addresses = {"http": http, "https": https}
    given = {protocol: address for protocol, address in addresses.items() if address}
    return given | ({"no": ",".join(names)} if given and names else {})


def _keys(output: str) -> Keys:
    """Those of the schema itself by their names, the others as "http.host"."""
    keys: Keys = {}
    for line in output.splitlines():
        schema, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        with contextlib.suppress(ValueError, SyntaxError):
            part = schema.removeprefix(SCHEMA).lstrip(".")
            keys[f"{part}.{name}".lstrip(".")] = _value(value)
    return keys


def _value(text: str) -> object:
    """Strings, numbers and lists are written as in Python; a list that is empty, with its type."""
    if text in ("true", "false"):
        return text == "true"
    return ast.literal_eval(text.removeprefix("@as "))


def _address(keys: Keys, protocol: str) -> str:
    host, port = keys.get(f"{protocol}.host"), keys.get(f"{protocol}.port")
    if not host or not port:
        return ""
    login = ""
    if keys.get(f"{protocol}.use-authentication"):
        user, password = (
            quote(str(keys.get(f"{protocol}.authentication-{what}", "")), safe="")
            for what in ("user", "password")
        )
        login = f"{user}:{password}@" if user else ""
    place = f"[{host}]" if ":" in str(host) else host
    return f"http://{login}{place}:{port}"


def _name(pattern: str) -> str:
    """In the form `.example.com`, which most programs understand."""
    return pattern.removeprefix("*") if pattern.startswith("*.") else pattern
