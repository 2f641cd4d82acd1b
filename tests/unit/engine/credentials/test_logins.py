"""The keyring becomes docker's credential store only where that breaks nothing."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.credentials import Store

from engine.credentials import logins
from engine.credentials.logins import (
    RegistryLogin,
    add,
    erase,
    follow,
    keep_with_us,
    leave,
    move_plain,
)
from engine.diagnose.docker import LOGINS
from engine.diagnose.facts import Facts
from engine.dockercli import context
from engine.dockercli.tools import own_folder
from engine.settings.store import SettingsStore
from tests.unit.engine.secret_service import SecretService, unlocked
from vm.errors import HostError, KeyringUnusable
from vm.host.paths import Home
from vm.types import MachineState, Observation

# What `docker login` writes without a credential store: bob, and "secret".
PLAIN = {
    "auths": {"a.example.com": {"auth": "Ym9iOnNlY3JldA=="}, "b.example.com": {}},
    "psFormat": "x",
}


@pytest.fixture
def keyring() -> Iterator[SecretService]:
    with unlocked() as service:
        yield service


@pytest.fixture
def config() -> Path:
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir()
    return folder / "config.json"


def read(config: Path) -> dict[str, object]:
    return dict(json.loads(config.read_text()))


def test_docker_s_store_is_set_and_removed_again(
    home: Home, keyring: SecretService, config: Path
) -> None:
    given = {"proxies": {}, "credHelpers": {"x.example.com": "other"}, "n": 1.5}
    config.write_text(json.dumps(given))
    follow(home, wanted=True)
    assert list(read(config).items()) == [*given.items(), ("credsStore", "galley")]
    before = config.read_text()
    follow(home, wanted=True)
    assert config.read_text() == before
    follow(home, wanted=False)
    assert list(read(config).items()) == list(given.items())


def test_a_store_of_the_user_is_kept(home: Home, keyring: SecretService, config: Path) -> None:
    config.write_text('{"credsStore": "pass"}')
    follow(home, wanted=True)
    assert logins.why_not() is None
    leave(home)
    follow(home, wanted=False)
    assert config.read_text() == '{"credsStore": "pass"}'


def test_logins_of_the_plain_file_are_not_hidden(
    home: Home, keyring: SecretService, config: Path
) -> None:
    config.write_text(json.dumps(PLAIN))
    with pytest.raises(HostError, match=r"plain file: a\.example\.com") as raised:
        follow(home, wanted=True)
    assert "galley logins --move" in raised.value.hint
    assert read(config) == PLAIN
    assert logins.logins() == (RegistryLogin("a.example.com", "bob", ""),)
    with pytest.raises(HostError, match="plain file"):
        add("b.example.com", "eve", "secret")
    assert read(config) == PLAIN

    assert move_plain() == ("a.example.com",)
    assert read(config) == {
        "auths": {"a.example.com": {}, "b.example.com": {}}, "psFormat": "x",
        "credsStore": "galley",
    }  # fmt: skip
    assert logins.logins() == (RegistryLogin("a.example.com", "bob", "galley"),)
    erase("a.example.com")
    assert logins.logins() == ()
    assert read(config)["auths"] == {"b.example.com": {}}


@pytest.mark.parametrize(
    ("entry", "username"),
    [
        ({"username": "bob", "password": "secret"}, "bob"),
        ({"auth": "Ym9iOnNlY3JldA==", "identitytoken": "secret"}, "<token>"),
    ],
)
def test_every_form_of_a_plain_login_is_moved(
    keyring: SecretService, config: Path, entry: dict[str, str], username: str
) -> None:
    config.write_text(json.dumps({"auths": {"a.example.com": entry}}))
    with pytest.raises(HostError, match="plain file"):
        keep_with_us()
    move_plain()
    store: Any = Store("galley")
    found = store.get("a.example.com")
    assert (found["Username"], found["Secret"]) == (username, "secret")


def test_a_plain_file_is_kept_if_the_keyring_is_locked(
    keyring: SecretService, config: Path
) -> None:
    config.write_text(json.dumps(PLAIN))
    keyring.lock()
    with pytest.raises(KeyringUnusable, match="locked"):
        move_plain()
    assert read(config) == PLAIN


def test_a_locked_keyring_is_not_set_as_store(
    home: Home, keyring: SecretService, config: Path
) -> None:
    keyring.lock()
    with pytest.raises(KeyringUnusable, match="locked"):
        follow(home, wanted=True)
    assert not config.exists()
    config.write_text('{"credsStore": "galley"}')
    problem = LOGINS.check(Facts(home))
    assert problem
    assert problem.summary == "The keyring is locked."


def test_without_a_keyring_the_store_is_not_set_and_a_hint_is_given(
    home: Home, keyring: SecretService, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    with pytest.raises(KeyringUnusable, match="There is no keyring"):
        follow(home, wanted=True)
    with pytest.raises(KeyringUnusable, match="There is no keyring"):
        add("a.example.com", "bob", "secret")
    assert not config.exists()
    started = Observation(MachineState.STOPPED)
    facts = Facts(home, SettingsStore(home).load(), observation=started)
    assert LOGINS.applies(facts)
    problem = LOGINS.check(facts)
    assert problem
    assert "gnome-keyring" in problem.hint
    SettingsStore(home).set("use_keyring", False)
    assert not LOGINS.applies(Facts(home, SettingsStore(home).load(), observation=started))


def test_a_helper_that_docker_would_not_find_is_not_set_as_store(
    home: Home, keyring: SecretService, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An active virtual environment has the helper on PATH, and other terminals do not."""
    assert sys.prefix != sys.base_prefix
    monkeypatch.setenv("PATH", f"{own_folder()}{os.pathsep}/usr/bin{os.pathsep}/bin")
    with pytest.raises(HostError, match="does not find the program") as raised:
        keep_with_us()
    assert str(own_folder() / "docker-credential-galley") in raised.value.hint
    assert not config.exists()
    config.write_text('{"credsStore": "galley"}')
    problem = LOGINS.check(Facts(home))
    assert problem
    assert "does not find the program" in problem.summary


def test_docker_s_store_is_removed_with_the_last_home(
    home: Home, keyring: SecretService, config: Path
) -> None:
    other = Home(Path("/another/home"), Path("/another/home/run"))
    for one in (home, other):
        context.ensure(one)
    keep_with_us()
    context.remove(other)
    leave(other)
    assert read(config)["credsStore"] == "galley"
    context.remove(home)
    leave(home)
    assert "credsStore" not in read(config)


def test_a_helper_of_the_user_is_used_too(
    keyring: SecretService, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker-credential-mine"
    program.write_text(f'#!/bin/sh\nexec "{own_folder()}/docker-credential-galley" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    config.write_text('{"credHelpers": {"a.example.com": "mine"}}')
    add("a.example.com", "bob", "secret")
    assert "credsStore" not in read(config)
    add("b.example.com", "eve", "secret")
    assert read(config)["credsStore"] == "galley"
    assert logins.logins() == (
        RegistryLogin("a.example.com", "bob", "mine"),
        RegistryLogin("b.example.com", "eve", "galley"),
    )


@pytest.mark.parametrize(
    "auths",
    [
        '{"x": {"auth": "not base64"}}',
        '{"x": {"auth": "/w=="}}',
        '{"x": 7}',
        "[]",
        '"text"',
        "null",
    ],
)
def test_an_invalid_plain_file_has_no_logins(config: Path, auths: str) -> None:
    config.write_text(f'{{"auths": {auths}}}')
    assert logins.logins() == ()


def test_a_broken_configuration_is_reported(home: Home, config: Path) -> None:
    config.write_text("{")
    for call in (logins.logins, lambda: follow(home, wanted=True), lambda: leave(home)):
        with pytest.raises(HostError, match=r"config\.json cannot be used"):
            call()
    assert config.read_text() == "{"
