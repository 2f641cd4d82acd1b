"""What a setting is as data, and how a value of its kind is read, checked and written.

The settings there are: `schema.py`.
"""

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from engine.images.address import check as check_address
from engine.messages.settings import (
    SETTINGS_ADDRESS,
    SETTINGS_BAD_VALUE,
    SETTINGS_CHOICE,
    SETTINGS_DURATION,
    SETTINGS_FEED,
    SETTINGS_HOSTS,
    SETTINGS_KEY,
    SETTINGS_PATHS,
    SETTINGS_PROXY,
    SETTINGS_RANGE,
    SETTINGS_SWITCH,
    SETTINGS_TEXT,
)
from engine.settings import proxy_address
from engine.settings.durations import format_duration, parse_duration
from vm.errors import SettingsError
from vm.messages import Text

type Value = int | str | bool | tuple[str, ...]
MIB, GIB, TIB = 1024**2, 1024**3, 1024**4
_UNITS = {"": GIB, "b": 1, "k": 1024, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|(b))?\s*", re.IGNORECASE)


MACHINE_RESTART = "Takes effect when the virtual machine restarts."
SUPERVISOR_RESTART = "Takes effect when the background process restarts."


class Kind(StrEnum):
    COUNT = "count"
    SIZE = "size"  # bytes; written as "4GiB"
    DURATION = "duration"  # seconds; written as "5min", and 0 as "never"
    CHOICE = "choice"
    TEXT = "text"
    ADDRESS = "address"  # of this host, IPv4 or IPv6
    SWITCH = "switch"
    PROXY = "proxy"  # an address of one, or ""; a password in it is for the keyring
    HOSTS = "hosts"  # names and addresses between commas, or ""
    FEED = "feed"  # an address of engine/images/address.py, or ""
    KEY = "key"  # a public key of minisign, or ""
    PATHS = "paths"  # folders of this host; in the file a list, elsewhere between commas or lines


_ALLOWED = {
    Kind.SWITCH: SETTINGS_SWITCH,
    Kind.ADDRESS: SETTINGS_ADDRESS,
    Kind.TEXT: SETTINGS_TEXT,
    Kind.PROXY: SETTINGS_PROXY,
    Kind.HOSTS: SETTINGS_HOSTS,
    Kind.FEED: SETTINGS_FEED,
    Kind.KEY: SETTINGS_KEY,
    Kind.PATHS: SETTINGS_PATHS,
}


class Setting(msgspec.Struct, frozen=True):
    """One setting as data. `needs_restart`: why a change needs a restart; "" if it does not."""

    name: str
    kind: Kind
    label: str
    help: str
    default: Value
    needs_restart: str = ""
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str, ...] = ()
    in_file: bool = True  # else the system keeps it

    def text(self, value: Value) -> str:
        """The value as people write it, and as `parse` reads it."""
        if isinstance(value, tuple):
            return "\n".join((*value, "")) if "," in "".join(value) else ",".join(value)
        if self.kind is Kind.SIZE:
            return format_size(int(value))
        if self.kind is Kind.DURATION:
            return format_duration(int(value))
        return str(value).lower() if self.kind is Kind.SWITCH else str(value)

    @property
    def allowed(self) -> Text:
        """The allowed values, as the end of a sentence."""
        if self.kind is Kind.CHOICE:
            return SETTINGS_CHOICE.text(choices=", ".join(self.choices))
        if self.kind is Kind.DURATION:
            return SETTINGS_DURATION.text(longest=self.text(self.maximum))
        if self.kind in _ALLOWED:
            return _ALLOWED[self.kind].text()
        return SETTINGS_RANGE.text(least=self.text(self.minimum), most=self.text(self.maximum))

    @property
    def fallback(self) -> Value:
        """The value in place of an invalid one of the file. No folder is shared by mistake."""
        return () if self.kind is Kind.PATHS else self.default

    def parse(self, given: object) -> Value:
        """The value that `given` means. Raises SettingsError with the range."""
        try:
            return _PARSERS[self.kind](self, given)
        except ValueError as error:
            shown = proxy_address.hidden(str(given)) if self.kind is Kind.PROXY else str(given)
            raise SettingsError(
                SETTINGS_BAD_VALUE,
                name=self.name,
                value=shown,
                allowed=self.allowed,
                help=Text(self.help),
                default=self.text(self.default),
                details=str(error),
            ) from error


class HostSize(msgspec.Struct, frozen=True):
    """What this computer has, which bounds some settings."""

    cpus: int
    memory: int  # bytes
    disk: int = 0  # bytes of the machine's data disk now, for it only grows


class Topic(StrEnum):
    """The sections of the window's settings page, in its order, each by its title."""

    RESOURCES = "Resources"
    MACHINE = "Virtual machine"
    IMAGE = "Guest image"
    IDLE = "Resource Saver"
    FILES = "Files"
    NETWORK = "Network"
    DOCKER = "Docker on this computer"
    LOGIN = "At login"


class SettingSpec(msgspec.Struct, frozen=True):
    """A `Setting` before this computer is known: default and range may depend on it."""

    topic: Topic
    kind: Kind
    label: str
    help: str
    default: Value | Callable[[HostSize], Value]
    needs_restart: str = ""
    minimum: int | Callable[[HostSize], int] = 0
    maximum: int | Callable[[HostSize], int] = 0
    choices: tuple[str, ...] = ()
    in_file: bool = True

    def setting(self, name: str, host: HostSize) -> Setting:
        """The setting on this computer."""
        return Setting(
            name=name,
            kind=self.kind,
            label=self.label,
            help=self.help,
            default=self.default(host) if callable(self.default) else self.default,
            needs_restart=self.needs_restart,
            minimum=self.minimum(host) if callable(self.minimum) else self.minimum,
            maximum=self.maximum(host) if callable(self.maximum) else self.maximum,
            choices=self.choices,
            in_file=self.in_file,
        )


def parse_size(given: str) -> int:
    """Bytes of "4GiB", "4096MiB", "4 GB", "4g" (all binary) or "4" (GiB). Raises ValueError."""
    found = _SIZE.fullmatch(given)
    if not found:
        raise ValueError(f"{given!r} is not a size such as 4GiB or 512MiB")
    unit = (found[2] or found[3] or "").lower()
    return int(float(found[1]) * _UNITS[unit])


def format_size(size: int) -> str:
    """The shortest exact way to write it: "4GiB", "1536MiB"."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{name}"
    return f"{size}B"


def _duration(setting: Setting, given: object) -> int:
    if isinstance(given, bool):
        raise ValueError("true and false are not times")
    return _within(setting, parse_duration(str(given)))


def _size(setting: Setting, given: object) -> int:
    if isinstance(given, bool):
        raise ValueError("true and false are not sizes")
    return _within(setting, parse_size(str(given)))


def _count(setting: Setting, given: object) -> int:
    if isinstance(given, bool | float):
        raise ValueError("not a whole number")
    return _within(setting, int(str(given)))


def _within(setting: Setting, number: int) -> int:
    if not setting.minimum <= number <= setting.maximum:
        raise ValueError(f"{number} is out of range")
    return number


def _choice(setting: Setting, given: object) -> str:
    word = str(given).strip().lower()
    if word not in setting.choices:
        raise ValueError(f"unknown choice {word!r}")
    return word


def _text(setting: Setting, given: object) -> str:
    word = given.strip() if isinstance(given, str) else ""
    if not re.fullmatch(r"[\w.,+=-]{1,200}", word, re.ASCII):
        raise ValueError("not a word")
    return word


def _address(setting: Setting, given: object) -> str:
    if not isinstance(given, str):  # ip_address(1) would be 0.0.0.1
        raise ValueError("not an address")
    return str(ipaddress.ip_address(given.strip()))


def _paths(setting: Setting, given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        given = re.split("\n" if "\n" in given else ",", given)
    if not isinstance(given, list | tuple):
        raise ValueError("not a list of folders")
    paths = [_path(path) for path in given]
    return tuple(dict.fromkeys(filter(None, paths)))


def _path(given: object) -> str:
    path = given.strip() if isinstance(given, str) else "."
    if re.search(r"[\0\n\r]", path) or not re.match(r"(/|~(/|$)|$)", path):
        raise ValueError(f"{path!r} is not an absolute path")
    return path.rstrip("/") or path[:1]


def _proxy(setting: Setting, given: object) -> str:
    if not isinstance(given, str):
        raise ValueError("not an address")
    return proxy_address.parse(given)


def _hosts(setting: Setting, given: object) -> str:
    names = given.split(",") if isinstance(given, str) else [" "]
    names = [name.strip() for name in names] if names != [""] else []
    if not all(re.fullmatch(r"[\w.:*/\[\]-]+", name) for name in names):
        raise ValueError("not names with commas between them")
    return ",".join(dict.fromkeys(names))


def _feed(setting: Setting, given: object) -> str:
    """A login in the address would be stored as plain text, so there is none."""
    address = given.strip() if isinstance(given, str) else " "
    if "@" in urlsplit(address).netloc:
        raise ValueError("it has a login")
    if address:
        try:
            check_address(address)
        except SettingsError as error:
            raise ValueError(error.summary) from error
    return address


def _key(setting: Setting, given: object) -> str:
    """42 bytes in base64, of which the first two name the algorithm."""
    key = given.strip() if isinstance(given, str) else " "
    if key and not re.fullmatch(r"RW[A-Za-z0-9+/]{54}", key):
        raise ValueError("not a public key of minisign")
    return key


def _switch(setting: Setting, given: object) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if isinstance(given, bool):
        return given
    if str(given).strip().lower() not in words:
        raise ValueError("neither true nor false")
    return words[str(given).strip().lower()]


_PARSERS: dict[Kind, Callable[[Setting, object], Value]] = {
    Kind.COUNT: _count,
    Kind.SIZE: _size,
    Kind.DURATION: _duration,
    Kind.CHOICE: _choice,
    Kind.TEXT: _text,
    Kind.ADDRESS: _address,
    Kind.SWITCH: _switch,
    Kind.PATHS: _paths,
    Kind.PROXY: _proxy,
    Kind.HOSTS: _hosts,
    Kind.FEED: _feed,
    Kind.KEY: _key,
}
