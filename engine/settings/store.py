"""The user's settings and the file that holds them, `settings.toml`.

The file is authoritative: every `load` reads it, nothing is cached. It is written only by `set` and
`unset`, which keep comments and unknown keys. A proxy's password goes to the keyring instead. What
starts at login is not in it but in a list of the system's, which `set` changes and every `load`
reads. Next: `schema.py` (what there is), `setting.py` (what is allowed), `machine_spec` at the end
(what the machine is started with).
"""

import contextlib
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

import msgspec

from engine import autostart
from engine.credentials import proxy_password
from engine.messages.settings import (
    SETTINGS_BAD_LINE,
    SETTINGS_FILE_UNREADABLE,
    SETTINGS_LINE,
    SETTINGS_NEWER,
    SETTINGS_NOT_IN_FILE,
    SETTINGS_NOTHING,
    SETTINGS_PASSWORD_IN_FILE,
    SETTINGS_UNKNOWN,
    SETTINGS_UNKNOWN_LINE,
    SETTINGS_UNKNOWN_NEAR,
)
from engine.settings import proxy_address, share_paths
from engine.settings.schema import Settings, schema
from engine.settings.setting import HostSize, Kind, Setting, Value
from vm.directory import MachineDir
from vm.errors import GalleyError, KeyringUnusable, Problem, SettingsError
from vm.host import ownership, private_folders
from vm.host.lock import FileLock
from vm.host.paths import Home, make_home, unusable, write_atomic
from vm.messages import Text
from vm.types import MachineSpec, Share

# From version n of the file to n + 1, on its top level. A new entry raises the version by itself.
MIGRATIONS: tuple[Callable[[MutableMapping[str, Any]], None], ...] = (
    lambda document: None,  # 0: written by hand, without a version
)


REMAPPED = 1_000_000  # the first id of remapped containers, beyond those of usual computers
WITH_UNITS = (Kind.SIZE, Kind.DURATION)  # written in the file with a unit


class Entry(msgspec.Struct, frozen=True):
    """A setting and its value now. `is_set`: the file has it; else it is the default."""

    setting: Setting
    value: Value
    is_set: bool

    @property
    def text(self) -> str:
        return self.setting.text(self.value)


class SettingsStore:
    """`settings.toml` of one instance. Any thread, any process.

    `load`, `list`, `set` and `unset` raise SettingsError when the file as a whole cannot be read.
    `current` is for the running engine and keeps the last good values.
    """

    def __init__(self, home: Home, host: HostSize | None = None) -> None:
        self._home = home
        self._host = host or _measure_host()
        self._listeners: list[Callable[[Settings], None]] = []
        self._good: tuple[Entry, ...] | None = None

    def schema(self) -> tuple[Setting, ...]:
        """Every setting with its range now."""
        try:
            disk = MachineDir.of(self._home).data_disk.stat().st_size
        except OSError:
            disk = 0
        return schema(msgspec.structs.replace(self._host, disk=max(disk, self._host.disk)))

    def load(self) -> Settings:
        """The current values; a bad value is one of the problems, and is replaced by the
        fallback."""
        return _settings(*self._look())

    def current(self) -> Settings:
        """As `load`, and the last good values while the file cannot be read. Raises nothing."""
        try:
            return self.load()
        except GalleyError as error:
            return _settings(self._good or _defaults(self.schema()), (error.to_problem(),))

    def list(self) -> tuple[Entry, ...]:
        return self._look()[0]

    def set(self, name: str, value: object) -> Entry:
        """Raises SettingsError, HomeUnusable, DiskFull, KeyringUnusable for a proxy's password, and
        HostError if the system refuses; nothing is changed then."""
        setting = find(self.schema(), name)
        wanted = setting.parse(value)
        if not setting.in_file:
            return self._start_at_login(bool(wanted))
        if isinstance(wanted, tuple):
            share_paths.check_all(wanted, private_folders.of(self._home))
        if setting.kind is Kind.PROXY:
            wanted, password = proxy_address.split(str(wanted))
            if password:
                proxy_password.keep(wanted, password)
        written = setting.text(wanted) if setting.kind in WITH_UNITS else wanted
        with self._passwords():
            return self._edit(name, lambda document: document.update({name: written}))

    def unset(self, name: str) -> Entry:
        """Go back to the default."""
        setting = find(self.schema(), name)
        if not setting.in_file:
            return self._start_at_login(bool(setting.default))
        with self._passwords():
            return self._edit(name, lambda document: document.pop(name, None))

    def clear(self) -> None:
        """Go back to the default of everything. Raises HomeUnusable, HostError."""
        with self._passwords(), FileLock(make_home(self._home).run / "settings.lock"):
            try:
                self._home.settings.unlink(missing_ok=True)
            except OSError as error:
                raise unusable(self._home.root, error) from error
        autostart.disable(self._home)
        self._tell()

    def subscribe(self, listener: Callable[[Settings], None]) -> Callable[[], None]:
        """Call `listener` after each change by this store. Returns a function that unsubscribes
        it."""
        self._listeners = [*self._listeners, listener]

        def leave() -> None:
            self._listeners = [kept for kept in self._listeners if kept is not listener]

        return leave

    def _edit(self, name: str, change: Callable[[MutableMapping[str, Any]], object]) -> Entry:
        import tomlkit

        with FileLock(make_home(self._home).run / "settings.lock"):
            text = self._read()
            _parse_toml(self._home, text)  # the same refusal as `load`
            document = tomlkit.parse(text)
            _migrate(document)
            change(document)
            write_atomic(self._home.settings, tomlkit.dumps(document).encode())
        return self._changed(name)

    @contextlib.contextmanager
    def _passwords(self) -> Iterator[None]:
        """Forget the passwords of proxies that no setting has after the change."""
        before = self._proxies_with_login()
        yield
        for address in before - self._proxies_with_login():
            with contextlib.suppress(KeyringUnusable):
                proxy_password.forget(address)

    def _proxies_with_login(self) -> frozenset[str]:
        settings = self.current()
        addresses = (settings.http_proxy, settings.https_proxy)
        return frozenset(filter(proxy_address.wants_login, addresses))

    def _start_at_login(self, wanted: bool) -> Entry:
        autostart.enable(self._home) if wanted else autostart.disable(self._home)
        return self._changed("start_at_login")

    def _changed(self, name: str) -> Entry:
        self._tell()
        return next(entry for entry in self.list() if entry.setting.name == name)

    def _tell(self) -> None:
        settings = self.load()
        for listener in self._listeners:
            listener(settings)

    def _look(self) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
        text = self._read()
        document = _parse_toml(self._home, text)
        problems = [_too_new(self._home)] if _version(document) > len(MIGRATIONS) else []
        _migrate(document)
        entries, known = [], self.schema()
        for setting in known:
            given = document.pop(setting.name, None)
            if not setting.in_file:
                problems += [] if given is None else [_not_in_file(text, setting)]
                given = autostart.state(self._home).standing is autostart.Standing.ENABLED or None
            try:
                value = setting.default if given is None else _from_file(setting, given)
            except SettingsError as error:
                problems.append(_in_file(error, text, setting))
                value, given = setting.fallback, None
            entries.append(Entry(setting, value, given is not None))
        problems += [_unknown(known, key, text) for key in document if key != "version"]
        self._good = tuple(entries)
        return self._good, tuple(problem.to_problem() for problem in problems)

    def _read(self) -> str:
        try:
            ownership.check_file(self._home.settings)
            return self._home.settings.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise _broken(self._home, str(error)) from error
        except OSError as error:
            raise unusable(self._home.root, error) from error


def _settings(entries: Iterable[Entry], problems: tuple[Problem, ...]) -> Settings:
    values: dict[str, Any] = {entry.setting.name: entry.value for entry in entries}
    return Settings(**values, problems=problems)


def _from_file(setting: Setting, given: object) -> Value:
    value = setting.parse(given)
    if setting.kind is Kind.PROXY and proxy_address.split(str(value))[1]:
        raise SettingsError(SETTINGS_PASSWORD_IN_FILE, name=setting.name)
    return value


def _defaults(settings: tuple[Setting, ...]) -> tuple[Entry, ...]:
    return tuple(Entry(setting, setting.default, False) for setting in settings)


def find(settings: tuple[Setting, ...], name: str) -> Setting:
    """The setting of that name. Raises SettingsError with the nearest names."""
    for setting in settings:
        if setting.name == name:
            return setting
    known = [setting.name for setting in settings]
    near = difflib.get_close_matches(name, known, 1, 0.5)
    if near:
        raise SettingsError(SETTINGS_UNKNOWN_NEAR, name=name, near=near[0])
    raise SettingsError(SETTINGS_UNKNOWN, name=name, names=", ".join(known))


def machine_spec(store: SettingsStore, image: str, folders: tuple[Share, ...] = ()) -> MachineSpec:
    """What the machine is started with now. `image`: the directory of a verified guest image;
    `folders`: the shares that `share_paths.py` derives from the settings.

    Raises SettingsError when the file cannot be read.
    """
    settings = store.load()
    return MachineSpec(
        cpus=settings.cpus,
        memory_bytes=settings.memory,
        disk_bytes=settings.disk,
        image=image,
        accelerator=settings.accelerator,
        cpu_model=settings.cpu_model,
        shares=folders,
        share_by=settings.share_by,
        id_offset=REMAPPED if settings.userns_remap else 0,
    )


def _measure_host() -> HostSize:
    import psutil

    return HostSize(os.cpu_count() or 1, int(psutil.virtual_memory().total))


def _parse_toml(home: Home, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(home, str(error)) from error


def _version(document: MutableMapping[str, Any]) -> int:
    version = document.get("version", 0)
    return version if isinstance(version, int) and version >= 0 else 0


def _migrate(document: MutableMapping[str, Any]) -> None:
    """Bring the document to our version; one of a newer Galley stays what it is."""
    version = _version(document)
    for step in MIGRATIONS[version:]:
        step(document)
    document["version"] = max(version, len(MIGRATIONS))


def _broken(home: Home, reason: str) -> SettingsError:
    return SettingsError(
        SETTINGS_FILE_UNREADABLE,
        reason=reason,
        file=home.settings,
        details=str(home.settings),
    )


def _too_new(home: Home) -> SettingsError:
    return SettingsError(
        SETTINGS_NEWER,
        details=str(home.settings),
    )


def _in_file(error: SettingsError, text: str, setting: Setting) -> SettingsError:
    where = _line(text, setting.name)
    used = setting.text(setting.fallback) or SETTINGS_NOTHING
    return SettingsError(
        SETTINGS_BAD_LINE,
        where=where,
        problem=error,
        used=used,
        name=setting.name,
        details=error.details,
    )


def _not_in_file(text: str, setting: Setting) -> SettingsError:
    return SettingsError(
        SETTINGS_NOT_IN_FILE,
        where=_line(text, setting.name),
        name=setting.name,
    )


def _unknown(settings: tuple[Setting, ...], key: str, text: str) -> SettingsError:
    try:
        find(settings, key)
    except SettingsError as error:
        where, hint = _line(text, key), error.hint_text
        return SettingsError(SETTINGS_UNKNOWN_LINE, where=where, problem=error, hint=hint)
    raise AssertionError(f"{key} is known")


def _line(text: str, key: str) -> Text | str:
    """ ", line 3" where the top-level `key` is, "" if it cannot be found."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[.=\]]""", line):
            return SETTINGS_LINE.text(number=number)
    return ""
