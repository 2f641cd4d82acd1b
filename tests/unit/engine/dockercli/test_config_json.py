"""docker's config.json when more than one of us changes it."""

import threading
from pathlib import Path
from typing import Any

import pytest

from engine.dockercli import config_json, context
from engine.provisioning import docker_config_proxies
from engine.provisioning.proxies import Proxies
from vm.errors import HostError
from vm.host.lock import FileLock
from vm.host.paths import Home
from vm.messages import Message

LONG_ENOUGH = 30.0  # seconds


def test_of_many_at_once_nobody_loses_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_json, "PATIENCE", LONG_ENOUGH)
    homes = [Home(tmp_path / str(number), tmp_path / str(number)) for number in range(8)]
    together = threading.Barrier(len(homes))

    def set_and_leave(home: Home) -> None:
        together.wait(LONG_ENOUGH)
        for number in range(10):
            docker_config_proxies.follow(home, Proxies(f"http://example.com:{number}"))

    threads = [threading.Thread(target=set_and_leave, args=(home,)) for home in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_ENOUGH)
    proxies = config_json.read()["proxies"]
    assert set(proxies) == {context.endpoint(home) for home in homes}
    assert {one["httpProxy"] for one in proxies.values()} == {"http://example.com:9"}


def test_nobody_waits_for_a_keyring_that_waits_for_its_user(home: Home) -> None:
    context.ensure(home)
    with FileLock(config_json.folder() / "galley-logins.lock"):
        using = threading.Thread(target=context.use, args=(home,), daemon=True)
        using.start()
        using.join(LONG_ENOUGH)
        assert not using.is_alive()
    assert context.is_current(home)


def test_what_is_as_it_should_be_is_left_alone(home: Home) -> None:
    config_json.change(lambda config: None)
    assert not config_json.folder().exists()
    config_json.change(lambda config: config.update(a=1))
    before = config_json.path().stat().st_mtime_ns
    config_json.change(lambda config: config.update(a=1))
    assert config_json.path().stat().st_mtime_ns == before


def test_an_edit_that_fails_changes_nothing_and_keeps_nobody_out(home: Home) -> None:
    calls = iter((False, True))

    def fail(config: dict[str, Any]) -> None:
        config["a"] = 1
        if next(calls):
            raise HostError(Message("", "No."))

    with pytest.raises(HostError):
        config_json.change(fail)
    config_json.change(lambda config: config.update(b=2))
    assert config_json.read() == {"b": 2}


def test_who_holds_it_for_too_long_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_json, "PATIENCE", 0.2)
    config_json.folder().mkdir()
    told: list[HostError] = []

    def change() -> None:
        try:
            config_json.change(lambda config: config.update(a=1))
        except HostError as error:
            told.append(error)

    with FileLock(config_json.folder() / "galley-config.lock"):
        changing = threading.Thread(target=change, daemon=True)
        changing.start()
        changing.join(LONG_ENOUGH)
        assert not changing.is_alive(), "it waits for ever"
    assert "keeps Docker's file" in told[0].summary
    assert config_json.read() == {}
    config_json.change(lambda config: config.update(a=1))
    assert config_json.read() == {"a": 1}


def test_a_folder_that_cannot_be_made_is_told(home: Home) -> None:
    config_json.folder().write_text("a file")
    with pytest.raises(HostError, match="cannot be used"):
        config_json.change(lambda config: config.update(a=1))
