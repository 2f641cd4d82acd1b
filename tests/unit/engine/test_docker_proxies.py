"""docker's config.json has our proxies under our endpoint, and everything else as it was."""

import json
from pathlib import Path

import pytest

from engine import context, docker_config, docker_proxies
from engine.proxy import Proxies
from vm.host.paths import Home

PROXIES = Proxies("http://example.com:1", "http://example.com:2", "a.example.com")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


def test_they_come_and_go(home: Home, folder: Path) -> None:
    docker_proxies.follow(home, Proxies())
    assert not docker_config.path().exists()
    folder.mkdir()
    own = {"auths": {}, "proxies": {"default": {"httpProxy": "http://b:1"}}}
    docker_config.path().write_text(json.dumps(own))
    docker_proxies.follow(home, PROXIES)
    entry = docker_config.read()["proxies"][context.endpoint(home)]
    assert entry["httpProxy"] == "http://example.com:1"
    assert entry["httpsProxy"] == "http://example.com:2"
    assert entry["noProxy"].endswith(",a.example.com")
    docker_proxies.follow(home, Proxies())
    assert docker_config.read() == own


def test_what_is_right_is_not_written_again(home: Home) -> None:
    docker_proxies.follow(home, PROXIES)
    before = docker_config.path().stat().st_mtime_ns
    docker_proxies.follow(home, PROXIES)
    assert docker_config.path().stat().st_mtime_ns == before
    docker_proxies.follow(home, Proxies())
    assert docker_config.read() == {}
