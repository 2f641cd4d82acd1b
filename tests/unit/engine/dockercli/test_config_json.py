"""docker's config.json when several Galley processes change it."""

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


def test_concurrent_changes_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_json, "PATIENCE", LONG_ENOUGH)
    homes = [Home(tmp_path / str(number), tmp_path / str(number)) for number in range(8)]
    together = threading.Barrier(len(homes))

    def set_proxies(home: Home) -> None:
        together.wait(LONG_ENOUGH)
        for number in range(10):
            docker_config_proxies.follow(home, Proxies(f"http://example.com:{number}"))

    threads = [threading.Thread(target=set_proxies, args=(home,)) for home in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_ENOUGH)
    proxies = config_json.read()["proxies"]
    assert set(proxies) == {context.endpoint(home) for home in homes}
    assert {one["httpProxy"] for one in proxies.values()} == {"http://example.com:9"}


def test_using_a_context_does_not_wait_for_the_lock_of_logins(home: Home) -> None:
    context.ensure(home)
    with FileLock(config_json.folder() / "galley-logins.lock"):
        using = threading.Thread(target=context.use, args=(home,), daemon=True)
        using.start()
        using.join(LONG_ENOUGH)
        assert not using.is_alive()
    assert context.is_current(home)


def test_an_unchanged_config_is_not_written(home: Home) -> None:
    config_json.change(lambda config: None)
    assert not config_json.folder().exists()
    config_json.change(lambda config: config.update(a=1))
    before = config_json.path().stat().st_mtime_ns
    config_json.change(lambda config: config.update(a=1))
    assert config_json.path().stat().st_mtime_ns == before


def test_a_failed_edit_changes_nothing_and_releases_the_lock(home: Home) -> None:
    calls = iter((False, True))

    def fail(config: dict[str, Any]) -> None:
        config["a"] = 1
        if next(calls):
            raise HostError(Message("", "No."))

    with pytest.raises(HostError):
        config_json.change(fail)
    config_json.change(lambda config: config.update(b=2))
    assert config_json.read() == {"b": 2}


def test_a_lock_that_is_held_too_long_is_an_error(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_json, "PATIENCE", 0.2)
    config_json.folder().mkdir()
    raised: list[HostError] = []

    def change() -> None:
        try:
            config_json.change(lambda config: config.update(a=1))
        except HostError as error:
            raised.append(error)

    with FileLock(config_json.folder() / "galley-config.lock"):
        changing = threading.Thread(target=change, daemon=True)
        changing.start()
        changing.join(LONG_ENOUGH)
        assert not changing.is_alive(), "the change still waits for the lock"
    assert "keeps Docker's file" in raised[0].summary
    assert config_json.read() == {}
    config_json.change(lambda config: config.update(a=1))
    assert config_json.read() == {"a": 1}


def test_a_folder_that_cannot_be_created_is_reported(home: Home) -> None:
    config_json.folder().write_text("a file")
    with pytest.raises(HostError, match="cannot be used"):
        config_json.change(lambda config: config.update(a=1))
