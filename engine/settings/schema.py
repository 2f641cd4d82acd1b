"""Every setting there is, as data: name, label, range, default.

The command line and the window draw themselves from this, and `store.py` checks with it. Adding
a setting is one entry in `schema()` and one field of `settings.Settings`. Next: `store.py`.
"""

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum

import msgspec

from engine.settings import proxy_address, share_paths
from engine.settings.durations import DAY, format_duration, parse_duration
from vm.errors import SettingsError

type Value = int | str | bool | tuple[str, ...]
MIB, GIB, TIB = 1024**2, 1024**3, 1024**4
_UNITS = {"": GIB, "b": 1, "k": 1024, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|(b))?\s*", re.IGNORECASE)


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
    PATHS = "paths"  # folders of this host; in the file a list, elsewhere between commas or lines


class Setting(msgspec.Struct, frozen=True):
    """One setting as data. `needs_restart`: why a change is not felt at once; "" when it is."""

    name: str
    kind: Kind
    label: str
    help: str
    default: Value
    needs_restart: str = ""
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str, ...] = ()
    in_file: bool = True  # else it is a state of the system, which is asked and told

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
    def allowed(self) -> str:
        """What may be given, to end a sentence with."""
        match self.kind:
            case Kind.CHOICE:
                return "one of " + ", ".join(self.choices)
            case Kind.SWITCH:
                return "true or false"
            case Kind.DURATION:
                return f"a time such as 90s, 5min or 2h, up to {self.text(self.maximum)}, or never"
            case Kind.ADDRESS:
                return "an IP address such as 127.0.0.1"
            case Kind.TEXT:
                return "a word of letters, digits and -_.,+="
            case Kind.PROXY:
                return "an address such as http://user:password@example.com:3128, or nothing"
            case Kind.HOSTS:
                return (
                    "names such as example.com or 10.0.0.0/8, with commas between them, or nothing"
                )
            case Kind.PATHS:
                return "folders such as ~ or /data, with commas between them"
        return f"from {self.text(self.minimum)} to {self.text(self.maximum)}"

    @property
    def fallback(self) -> Value:
        """What holds where the file's value cannot be used. Nothing is shared by mistake."""
        return () if self.kind is Kind.PATHS else self.default

    def parse(self, given: object) -> Value:
        """The value that was meant. Raises SettingsError with the range."""
        try:
            return _PARSERS[self.kind](self, given)
        except ValueError as error:
            shown = proxy_address.hidden(str(given)) if self.kind is Kind.PROXY else str(given)
            raise SettingsError(
                f"{self.name} cannot be {shown!r}: it must be {self.allowed}.",
                f"{self.help} The default is {self.text(self.default)}.",
                details=str(error),
            ) from error


class HostSize(msgspec.Struct, frozen=True):
    """What this computer has, which bounds some settings."""

    cpus: int
    memory: int  # bytes
    disk: int = 0  # bytes of the machine's data disk now, for it only grows


def schema(host: HostSize) -> tuple[Setting, ...]:
    """Every setting there is, with the ranges of this computer."""
    restart = "The virtual machine gets it when it starts: galley restart."
    supervisor = "It is chosen once at start-up: galley restart --supervisor."
    memory = max(host.memory // GIB, 1)
    return (
        Setting(
            "cpus", Kind.COUNT, "CPUs", "How many CPUs the virtual machine has.",
            min(4, host.cpus), restart, minimum=1, maximum=host.cpus,
        ),
        Setting(
            "memory", Kind.SIZE, "Memory", "The most memory that the virtual machine may take.",
            min(max(memory // 4, min(2, memory)), 8) * GIB, restart, minimum=GIB,
            maximum=memory * GIB,
        ),
        Setting(
            "disk", Kind.SIZE, "Disk size",
            "The most that images, containers and volumes may take; it grows, but never shrinks.",
            max(64 * GIB, host.disk), minimum=max(8 * GIB, host.disk), maximum=16 * TIB,
        ),
        Setting(
            "backend", Kind.CHOICE, "Backend", "What runs the virtual machine.",
            "auto", supervisor, choices=("auto", "qemu", "fake"),
        ),
        Setting(
            "accelerator", Kind.CHOICE, "Accelerator",
            "How QEMU runs the guest; auto takes the fastest that works here.",
            "auto", restart, choices=("auto", "kvm", "hvf", "whpx", "tcg"),
        ),
        Setting(
            "cpu_model", Kind.TEXT, "CPU model",
            "Which CPU the guest sees, in QEMU's words; auto fits the accelerator.",
            "auto", restart,
        ),
        Setting(
            "channel", Kind.CHOICE, "Image channel",
            "Which Docker Engine the guest image carries: stable, or the newest.",
            "stable", restart, choices=("stable", "latest"),
        ),
        *_saving(),
        *_network(),
        *_folders(restart),
        Setting(
            "use_context", Kind.SWITCH, "Docker context",
            "Make a docker context at first start, and make it current where you have none.",
            True,
        ),
        Setting(
            "use_keyring", Kind.SWITCH, "Logins in the keyring",
            "Let docker keep registry logins in the keyring, where it would use a plain file.",
            True,
        ),
        *_login(),
    )  # fmt: skip


def _saving() -> tuple[Setting, ...]:
    return (
        Setting(
            "save_after", Kind.DURATION, "Save resources after",
            "How long nobody has to use the engine until its virtual machine is paused. It wakes "
            "by itself.",
            300, maximum=DAY,
        ),
        Setting(
            "save_busy", Kind.SWITCH, "Save with containers that idle",
            "Pause it even while containers run, if they use no CPU. Who comes to a port wakes it.",
            False,
        ),
        Setting(
            "suspend_after", Kind.DURATION, "Free its memory after",
            "How long it stays paused until it is kept on disk, and its memory is given back.",
            1800, maximum=DAY,
        ),
        Setting(
            "suspend", Kind.SWITCH, "Suspend instead of powering off",
            "When the engine is stopped, keep it on the disk as it is, so that it starts at once.",
            True,
        ),
    )  # fmt: skip


def _login() -> tuple[Setting, ...]:
    return (
        Setting(
            "start_at_login", Kind.SWITCH, "Start at login",
            "Start Galley, with its window closed, when you log in to this computer.",
            False, in_file=False,
        ),
        Setting(
            "start_engine_at_login", Kind.SWITCH, "Start the engine at login",
            "Start the engine, too, when Galley starts at login.", False,
        ),
    )  # fmt: skip


def _network() -> tuple[Setting, ...]:
    used = "Used where the proxy is set to manual. A password is kept in the keyring."
    return (
        Setting(
            "port_address", Kind.ADDRESS, "Address of published ports",
            "Where -p 8080:80 listens on this host; 0.0.0.0 lets other computers in.",
            "127.0.0.1",
        ),
        Setting(
            "host_network_ports", Kind.SWITCH, "Ports of the host network",
            "Make what containers with --network host listen on reachable on this computer.",
            True,
        ),
        Setting(
            "host_loopback", Kind.SWITCH, "This computer's services",
            "Let containers reach what listens on this computer's 127.0.0.1, as "
            "host.docker.internal.",
            True,
        ),
        Setting(
            "local_names", Kind.SWITCH, "Names of containers",
            "Let containers find each other as NAME.galley.local, where they share a network.",
            False,
        ),
        Setting(
            "proxy", Kind.CHOICE, "Proxy",
            "What the engine and containers reach the network by: this computer's own proxy "
            "settings, those given here, or no proxy.",
            "system", choices=("system", "manual", "none"),
        ),
        Setting(
            "http_proxy", Kind.PROXY, "Proxy for HTTP", used,
            "",
        ),
        Setting(
            "https_proxy", Kind.PROXY, "Proxy for HTTPS", used,
            "",
        ),
        Setting(
            "no_proxy", Kind.HOSTS, "Reached without the proxy",
            "Names and addresses, where the proxy is set to manual; this computer is one anyway.",
            "",
        ),
    )  # fmt: skip


def _folders(restart: str) -> tuple[Setting, ...]:
    return (
        Setting(
            "shares", Kind.PATHS, "Shared folders",
            "Which folders of this computer containers may be given with -v; ~ is your home. In "
            "folders for everybody, such as /tmp, only what is yours.",
            share_paths.default(), restart,
        ),
        Setting(
            "read_only_shares", Kind.PATHS, "Shared folders, read-only",
            "Folders that containers may read and not change.", (), restart,
        ),
        Setting(
            "share_by", Kind.CHOICE, "Share folders by",
            "virtiofs is the faster, and a program of its own; sftp works everywhere.",
            "auto", restart, choices=("auto", "virtiofs", "sftp"),
        ),
    )  # fmt: skip


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
}
