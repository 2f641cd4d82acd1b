"""A field of `Settings` is a complete setting: adding one needs no other change."""

import json
from pathlib import PureWindowsPath
from typing import get_type_hints

import msgspec
import pytest
from click.testing import CliRunner

from engine.cli.settings import settings as command
from engine.settings.schema import RESTART_BY, SPECS, Settings, schema, topics
from engine.settings.setting import GIB, HostSize, Kind, Setting, SettingSpec, Topic
from engine.settings.store import SettingsStore
from tests.longer_settings import LongerSettings, use_longer_settings
from vm.errors import SettingsError
from vm.host.paths import Home

HOST = HostSize(4, 16 * GIB)
TYPES = {
    Kind.COUNT: int,
    Kind.SIZE: int,
    Kind.DURATION: int,
    Kind.SWITCH: bool,
    Kind.PATHS: tuple[str, ...],
}  # else str
MAY_BE_EMPTY = (Kind.PATHS, Kind.SWITCH, Kind.PROXY, Kind.HOSTS, Kind.DURATION, Kind.FEED, Kind.KEY)


def test_each_field_is_a_setting_with_its_texts() -> None:
    settings = schema(HOST)
    fields = {field.name for field in msgspec.structs.fields(Settings)} - {"problems"}
    assert {setting.name for setting in settings} == fields
    order = [list(Topic).index(spec.topic) for _name, spec in SPECS]
    assert order == sorted(order)
    for setting in settings:
        assert setting.label
        assert setting.help.endswith(".")
        assert setting.parse(setting.text(setting.default)) == setting.default
        if setting.kind not in MAY_BE_EMPTY:
            assert setting.parse(setting.default if setting.kind is not Kind.SIZE else "8GiB")


def test_the_reason_for_a_restart_names_no_command() -> None:
    reasons = {setting.needs_restart for setting in schema(HOST)} - {""}
    assert reasons == set(RESTART_BY)
    assert not any("galley " in reason for reason in reasons)


@pytest.mark.parametrize(("name", "spec"), SPECS)
def test_a_field_has_the_type_of_its_kind(name: str, spec: SettingSpec) -> None:
    assert get_type_hints(Settings)[name] == TYPES.get(spec.kind, str)


def test_each_setting_has_one_place_in_the_window() -> None:
    names = [name for _topic, names in topics() for name in names]
    assert sorted(names) == sorted(name for name, _spec in SPECS)
    assert [topic for topic, _names in topics()] == list(Topic)
    assert all(names for _topic, names in topics())


def test_a_new_field_is_a_setting_everywhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    use_longer_settings(monkeypatch)
    store = SettingsStore(home, HOST)

    def current() -> str:
        settings = store.current()
        assert isinstance(settings, LongerSettings)
        return settings.snack

    assert current() == "nuts"
    assert store.set("snack", "Olives").text == "olives"
    assert current() == "olives"
    assert 'snack = "olives"' in home.settings.read_text()
    assert dict(topics())[Topic.FILES][-1] == "snack"
    output = CliRunner().invoke(command, ["list"]).output
    assert "What there is to eat. Allowed: one of nuts, olives." in output
    entry = json.loads(CliRunner().invoke(command, ["get", "snack", "--json"]).output)
    assert (entry["value"], entry["setting"]["label"]) == ("olives", "Snack")
    home.settings.write_text("snack = 3\n")
    assert current() == "nuts"
    (problem,) = store.current().problems
    assert "snack cannot be '3'" in problem.summary


@pytest.mark.parametrize(
    "given",
    [
        "",
        "https://example.com/galley",
        "http://localhost:8080/galley",
        "file:/srv/galley",
        "file:///srv/galley",
        "/srv/galley images",
    ],
)
def test_a_feed_is_an_address_or_a_folder(given: str) -> None:
    assert setting("image_feed").parse(given) == given
    assert setting("image_feed").parse(f" {given}") == given


@pytest.mark.parametrize("given", ["D:\\galley", "\\\\server\\share\\feed"])
def test_a_feed_may_be_a_share_of_windows(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.images.address.Path", PureWindowsPath)
    assert setting("image_feed").parse(given) == given


@pytest.mark.parametrize("given", ["https://example.com/", "file:///", "/", "https://h/?key=a/"])
def test_a_feed_stays_as_it_is_written(given: str) -> None:
    assert setting("image_feed").parse(given) == given


@pytest.mark.parametrize(
    "given",
    [
        "http://example.com",
        "https://",
        "https://example.com:x/",
        "https://example.com/a b",
        "https://me:secret@example.com",
        "ftp://example.com",
        "file:",
        "file:galley",
        "file://me:secret@example.com/galley",
        "galley",
        3,
    ],
)
def test_a_feed_without_encryption_or_with_a_login_is_refused(given: object) -> None:
    with pytest.raises(SettingsError, match="begins with https://"):
        setting("image_feed").parse(given)


def test_a_key_is_one_of_minisign() -> None:
    key = "RW" + "a/+9" * 13 + "Qz"
    assert setting("image_feed_signer").parse(f" {key}\n") == key
    assert setting("image_feed_signer").parse("") == ""
    for given in (key[:-1], key + "A", "XX" + key[2:], key.replace("+", "-"), None):
        with pytest.raises(SettingsError, match="minisign"):
            setting("image_feed_signer").parse(given)


def setting(name: str) -> Setting:
    return next(one for one in schema(HOST) if one.name == name)
