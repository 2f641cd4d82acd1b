"""A feed is reached through the proxies that apply, with their logins."""

import base64
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.guest.channels import Channel
from engine.lifecycle.image_origin import feed_origin, proxies_for, repository_of
from engine.messages.image import CHANNEL_NO_ADDRESS, CHANNEL_OTHER_KEY
from engine.provisioning import proxies
from engine.settings.store import SettingsStore
from tests.unit.engine.images.current import ignore
from vm.errors import HostError, SettingsError
from vm.host.paths import Home

FEED = "https://example.com/galley"
KEY = "RWQ" + "A" * 53


@pytest.fixture
def settings(home: Home, monkeypatch: pytest.MonkeyPatch) -> SettingsStore:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return SettingsStore(home)


def test_the_proxy_of_the_environment_gets_its_login(
    home: Home, settings: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []

    def answer(server: socket.socket) -> None:
        near, _ = server.accept()
        with near:
            heads.append(near.recv(4096))
            near.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://me:hid%40den@{place}")
        origin = feed_origin(home, settings, FEED, KEY, Channel.STABLE)
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        with pytest.raises(HostError):
            origin.get(home.images, datetime.now(UTC), ignore)
        thread.join()
    assert heads[0].startswith(b"CONNECT example.com:443")
    login = base64.b64encode(b"me:hid@den")
    assert b"proxy-authorization: basic " + login.lower() in heads[0].lower()


def test_a_feed_that_bypasses_the_proxy_has_none(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://example.com:3128")
    assert proxies_for(FEED, settings) == {"https": "http://example.com:3128"}
    monkeypatch.setenv("no_proxy", "other.example.com, .example.com")
    assert proxies_for(FEED, settings) == {}
    settings.set("proxy", "manual")
    settings.set("https_proxy", "example.com:1")
    assert proxies_for(FEED, settings) == {"https": "http://example.com:1"}
    settings.set("no_proxy", "example.com:443")
    assert proxies_for(FEED, settings) == {}
    settings.set("proxy", "none")
    settings.set("no_proxy", "")
    assert proxies_for(FEED, settings) == {}


@pytest.mark.parametrize("address", ["/srv/feed", "file:///srv/feed", "http://localhost:8080/feed"])
def test_a_feed_of_this_computer_asks_for_no_password(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("https_proxy", "http://me@example.com:3128")
    monkeypatch.setattr(proxies, "password", lambda address: pytest.fail("asked"))
    assert proxies_for(address, settings) == {}


def test_an_address_that_is_none_is_an_error(home: Home, settings: SettingsStore) -> None:
    for address in ("https://[", "https://example.com:x", "galley"):
        with pytest.raises(SettingsError):
            feed_origin(home, settings, address, KEY, Channel.STABLE)


def test_only_the_channel_docker_needs_an_address(settings: SettingsStore, tmp_path: Path) -> None:
    assert repository_of(settings, Channel.STABLE, ignore) == ""
    assert repository_of(settings, Channel.LATEST, ignore) == ""
    with pytest.raises(SettingsError) as raised:
        repository_of(settings, Channel.DOCKER, ignore)
    assert raised.value.code == CHANNEL_NO_ADDRESS.code
    (tmp_path / "gpg").write_bytes(b"")
    settings.set("docker_repository", str(tmp_path))
    with pytest.raises(HostError) as refused:
        repository_of(settings, Channel.DOCKER, ignore)
    assert refused.value.code == CHANNEL_OTHER_KEY.code
