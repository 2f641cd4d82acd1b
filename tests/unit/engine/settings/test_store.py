"""Settings: which values are allowed, and a file that never loses anything."""

import os
import threading
import tomllib

import psutil
import pytest

from engine.settings import store as settings_module
from engine.settings.schema import schema
from engine.settings.setting import GIB, MIB, HostSize, format_size, parse_size
from engine.settings.store import SettingsStore, machine_spec
from vm.backends import BACKENDS
from vm.directory import MachineDir
from vm.errors import HomeUnusable, SettingsError
from vm.host.paths import Home
from vm.types import MachineSpec

HOST = HostSize(4, 16 * GIB)


@pytest.fixture
def store(home: Home) -> SettingsStore:
    return SettingsStore(home, HOST)


# The schema


def test_the_choices_of_backend_are_the_existing_ones() -> None:
    backend = next(setting for setting in schema(HOST) if setting.name == "backend")
    assert set(backend.choices) == {"auto", *BACKENDS}


@pytest.mark.parametrize(
    ("memory", "default"), [(1, 1), (2, 2), (4, 2), (8, 2), (16, 4), (24, 6), (32, 8), (256, 8)]
)
def test_memory_by_default_is_a_fair_part_of_the_host(memory: int, default: int) -> None:
    setting = schema(HostSize(1, memory * GIB))[1]
    assert setting.default == default * GIB
    assert setting.maximum == memory * GIB
    assert schema(HostSize(1, 300 * MIB))[1].minimum == GIB


@pytest.mark.parametrize(("cpus", "default"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_cpus_by_default(cpus: int, default: int) -> None:
    assert schema(HostSize(cpus, GIB))[0].default == default


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("4GiB", 4 * GIB), ("4096MiB", 4 * GIB), ("4 GB", 4 * GIB), ("4g", 4 * GIB),
        ("4", 4 * GIB), (" 1.5 GiB ", 1536 * MIB), ("1T", 1024 * GIB), ("2048 kb", 2 * MIB),
        ("4294967296B", 4 * GIB),
    ],
)  # fmt: skip
def test_a_size_is_parsed(given: str, size: int) -> None:
    assert parse_size(given) == size


@pytest.mark.parametrize("given", ["", "GiB", "-1GiB", "4 apples", "4GiBB", "1e9", "4,5GiB", "nan"])
def test_an_invalid_size_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(given)


@pytest.mark.parametrize("size", [0, 1, 1023, MIB, 1536 * MIB, 4 * GIB, 1024 * GIB, 4 * GIB + 1])
def test_a_formatted_size_is_parsed_to_the_same_value(size: int) -> None:
    assert parse_size(format_size(size)) == size


# Setting


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("cpus", 3, 3), ("cpus", "3", 3),
        ("memory", "4096MiB", 4 * GIB), ("memory", 4, 4 * GIB), ("memory", 1.5, 1536 * MIB),
        ("disk", "100 GB", 100 * GIB),
        ("backend", "FAKE", "fake"), ("accelerator", "tcg", "tcg"), ("cpu_model", "max", "max"),
        ("cpu_model", "Skylake-Client,+avx2,vendor=x", "Skylake-Client,+avx2,vendor=x"),
        ("channel", "latest", "latest"),
        ("port_address", "0.0.0.0", "0.0.0.0"), ("port_address", "::1", "::1"),
        ("use_context", "off", False), ("use_context", True, True),
        ("proxy", "none", "none"), ("http_proxy", "example.com:3128", "http://example.com:3128"),
        ("https_proxy", " https://[::1]:8/ ", "https://[::1]:8"), ("http_proxy", "", ""),
        ("https_proxy", "socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("no_proxy", "a.example.com, .b,10.0.0.0/8 ,a.example.com", "a.example.com,.b,10.0.0.0/8"),
        ("no_proxy", "", ""), ("no_proxy", "*", "*"),
    ],
)  # fmt: skip
def test_a_setting_is_set_and_read(
    store: SettingsStore, name: str, given: object, value: object
) -> None:
    entry = store.set(name, given)
    assert (entry.value, entry.is_set) == (value, True)
    assert getattr(store.current(), name) == value
    assert getattr(store.load(), name) == value
    assert store.current().problems == ()
    assert store.set(name, entry.text).value == value


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("cpus", 0, "from 1 to 4"), ("cpus", 5, "from 1 to 4"), ("cpus", 2.5, "from 1 to 4"),
        ("cpus", True, "from 1 to 4"), ("cpus", "many", "from 1 to 4"), ("cpus", None, "from 1"),
        ("memory", "512MiB", "from 1GiB to 16GiB"), ("memory", "1TiB", "from 1GiB to 16GiB"),
        ("memory", "much", "from 1GiB to 16GiB"), ("memory", True, "from 1GiB to 16GiB"),
        ("disk", "1GiB", "from 8GiB to 16TiB"),
        ("backend", "xen", "one of auto, qemu, fake"), ("backend", 1, "one of auto"),
        ("cpu_model", "a b", "a word"), ("cpu_model", "", "a word"),
        ("port_address", "localhost", "an IP address"), ("port_address", 1, "an IP address"),
        ("use_context", "maybe", "true or false"), ("use_context", 1, "true or false"),
        ("http_proxy", "ftp://example.com", "an address such as"), ("http_proxy", 1, "an address"),
        ("http_proxy", "http://example.com:99999", "an address"), ("http_proxy", "//", "an"),
        ("http_proxy", "http://example.com/path", "an address"),
        ("no_proxy", "a b", "names such as"), ("no_proxy", "a,,b", "names"),
        ("no_proxy", 1, "names"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_range(
    store: SettingsStore, home: Home, name: str, given: object, expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        store.set(name, given)
    assert caught.value.summary.startswith(f"{name} cannot be ")
    assert expected in caught.value.summary
    assert "The default is" in caught.value.hint
    assert not home.settings.exists()


@pytest.mark.parametrize(
    ("name", "near"), [("memry", "memory"), ("cpu", "cpus"), ("acelerator", "accelerator")]
)
def test_an_unknown_name_gets_the_nearest_one_as_a_hint(
    store: SettingsStore, name: str, near: str
) -> None:
    for attempt in (store.unset, lambda name: store.set(name, 1)):
        with pytest.raises(SettingsError, match="There is no setting") as caught:
            attempt(name)
        assert caught.value.hint == f"Did you mean {near}?"


def test_an_unknown_name_without_a_similar_one_gets_the_list(store: SettingsStore) -> None:
    with pytest.raises(SettingsError) as caught:
        store.unset("zzz")
    names = ", ".join(setting.name for setting in store.schema())
    assert caught.value.hint == f"There are: {names}."


def test_the_disk_only_grows(store: SettingsStore, home: Home) -> None:
    disk = MachineDir.of(home).data_disk
    with disk.open("wb") as file:
        file.truncate(100 * GIB)
    assert store.current().disk == 100 * GIB
    with pytest.raises(SettingsError, match="from 100GiB"):
        store.set("disk", "64GiB")
    assert store.set("disk", "128GiB").value == 128 * GIB


def test_unset_goes_back_to_the_default(store: SettingsStore) -> None:
    store.set("cpus", 2)
    assert store.unset("cpus").value == 4
    assert store.unset("cpus").is_set is False


def test_subscribers_receive_changes(store: SettingsStore) -> None:
    received: list[int] = []
    unsubscribe = store.subscribe(lambda settings: received.append(settings.cpus))
    store.set("cpus", 2)
    store.unset("cpus")
    unsubscribe()
    store.set("cpus", 1)
    assert received == [2, 4]


# The file


FILE = """\
# my computer is small
cpus = 2  # leave some for me

future = "kept"
[experiments]
deep = 1
"""


def test_comments_and_unknown_keys_survive(store: SettingsStore, home: Home) -> None:
    home.settings.write_text(FILE)
    store.set("cpus", 3)
    store.set("memory", "2 GB")
    store.set("use_context", "no")
    text = home.settings.read_text()
    assert "# my computer is small\ncpus = 3  # leave some for me\n" in text
    assert tomllib.loads(text) == {
        "cpus": 3, "future": "kept", "experiments": {"deep": 1},
        "version": 1, "memory": "2GiB", "use_context": False,
    }  # fmt: skip
    assert text.endswith("[experiments]\ndeep = 1\n")


def test_unknown_keys_are_reported_with_line_and_nearest(store: SettingsStore, home: Home) -> None:
    home.settings.write_text('cpus = 2\nmemry = "4GiB"\n[experiments]\n')
    problems = store.load().problems
    assert [problem.summary for problem in problems] == [
        "settings.toml, line 2: There is no setting 'memry'.",
        "settings.toml, line 3: There is no setting 'experiments'.",
    ]
    assert problems[0].hint == "Did you mean memory?"


def test_a_bad_value_in_the_file_is_reported_and_never_lost(
    store: SettingsStore, home: Home
) -> None:
    home.settings.write_text('# x\ncpus = 99\nmemory = "lots"\nbackend = "fake"\n')
    settings = store.load()
    assert (settings.cpus, settings.memory, settings.backend) == (4, 4 * GIB, "fake")
    assert [problem.summary.split(":")[0] for problem in settings.problems] == [
        "settings.toml, line 2", "settings.toml, line 3",
    ]  # fmt: skip
    assert settings.problems[0].hint.startswith("4 is used. Run: galley settings set cpus")
    store.set("channel", "latest")
    assert "cpus = 99" in home.settings.read_text()


@pytest.mark.parametrize("broken", [b"cpus = = 2\n", b"\xff\xfe", b"cpus = 1\ncpus = 2\n", b"["])
def test_a_broken_file_is_reported_and_left_unchanged(
    store: SettingsStore, home: Home, broken: bytes
) -> None:
    store.set("cpus", 2)
    home.settings.write_bytes(broken)
    attempts = (store.load, store.list, lambda: store.set("cpus", 1), lambda: store.unset("cpus"))
    for attempt in attempts:
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            attempt()
        assert str(home.settings) in caught.value.hint
    assert home.settings.read_bytes() == broken
    assert store.current().cpus == 2, "the last good value stays in use"
    assert "cannot be read" in store.current().problems[0].summary
    assert SettingsStore(home, HOST).current().cpus == 4


def test_a_missing_and_an_empty_file_are_all_defaults(store: SettingsStore, home: Home) -> None:
    before = store.list()
    assert not any(entry.is_set for entry in before)
    assert not home.settings.exists()
    home.settings.write_bytes(b"\xef\xbb\xbf")  # what a Windows editor leaves in an empty file
    assert store.list() == before


def test_every_load_reads_the_changes_of_an_editor(store: SettingsStore, home: Home) -> None:
    home.settings.write_text("cpus = 1\n")
    assert store.current().cpus == 1
    home.settings.write_text("cpus = 2\n")
    assert store.current().cpus == 2


def test_known_settings_of_a_newer_file_are_used(store: SettingsStore, home: Home) -> None:
    home.settings.write_text("version = 99\ncpus = 2\n")
    assert store.current().cpus == 2
    assert "newer Galley" in store.current().problems[0].summary
    store.set("cpus", 3)
    assert tomllib.loads(home.settings.read_text())["version"] == 99


@pytest.mark.parametrize("line", ['version = "one"', "version = -1", "version = []", "# none"])
def test_an_invalid_version_runs_every_migration(
    store: SettingsStore, home: Home, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    steps = (lambda _: done.append(0), lambda _: done.append(1))
    monkeypatch.setattr(settings_module, "MIGRATIONS", steps)
    home.settings.write_text(f"{line}\ncpus = 2\n")
    assert store.current().cpus == 2
    assert done == [0, 1], "every migration runs"


def test_two_writers_lose_nothing(home: Home) -> None:
    def write(name: str, values: list[object]) -> None:
        own = SettingsStore(home, HOST)
        for value in values:
            own.set(name, value)

    work: list[tuple[str, list[object]]] = [
        ("cpus", [1, 2, 3] * 5), ("memory", ["2GiB", "3GiB"] * 7), ("channel", ["latest"] * 15)
    ]  # fmt: skip
    threads = [threading.Thread(target=write, args=args) for args in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tomllib.loads(home.settings.read_text()) == {
        "version": 1, "cpus": 3, "memory": "3GiB", "channel": "latest",
    }  # fmt: skip
    assert not [path for path in home.root.iterdir() if path.name.endswith(".new")]


def test_a_folder_in_place_of_the_file_is_an_error(store: SettingsStore, home: Home) -> None:
    home.settings.mkdir()
    with pytest.raises(HomeUnusable):
        store.load()
    with pytest.raises(HomeUnusable):
        store.set("cpus", 2)


def test_the_machine_spec_has_the_settings(store: SettingsStore) -> None:
    store.set("cpus", 2)
    store.set("accelerator", "tcg")
    assert machine_spec(store, "/image") == MachineSpec(
        2, 4 * GIB, 64 * GIB, "/image", accelerator="tcg"
    )


def test_limits_come_from_the_host(home: Home) -> None:
    store = SettingsStore(home)
    cpus = next(setting for setting in store.schema() if setting.name == "cpus")
    assert cpus.maximum == os.cpu_count()
    memory = next(setting for setting in store.schema() if setting.name == "memory")
    assert 0 <= psutil.virtual_memory().total - (memory.maximum or 0) < 1 << 30


def test_clear_restores_the_defaults_and_notifies_subscribers(home: Home) -> None:
    store = SettingsStore(home, HOST)
    store.set("cpus", 1)
    received: list[int] = []
    store.subscribe(lambda settings: received.append(settings.cpus))
    store.clear()
    assert not home.settings.exists()
    assert received == [store.load().cpus]
    assert not any(entry.is_set for entry in store.list())
    store.clear()
    assert len(received) == 2
