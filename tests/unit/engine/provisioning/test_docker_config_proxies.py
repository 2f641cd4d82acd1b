"""docker's config.json has Galley's proxies under its endpoint; everything else is unchanged."""

import json
from pathlib import Path

import pytest

from engine.dockercli import config_json, context
from engine.provisioning import docker_config_proxies
from engine.provisioning.proxies import Proxies
from vm.host.paths import Home

PROXIES = Proxies("http://example.com:1", "http://example.com:2", "a.example.com")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


def test_proxies_are_added_and_removed(home: Home, folder: Path) -> None:
    docker_config_proxies.follow(home, Proxies())
    assert not config_json.path().exists()
    folder.mkdir()
    own = {"auths": {}, "proxies": {"default": {"httpProxy": "http://b:1"}}}
    config_json.path().write_text(json.dumps(own))
    docker_config_proxies.follow(home, PROXIES)
    entry = config_json.read()["proxies"][context.endpoint(home)]
    assert entry["httpProxy"] == "http://example.com:1"
    assert entry["httpsProxy"] == "http://example.com:2"
    assert entry["noProxy"].endswith(",a.example.com")
    docker_config_proxies.follow(home, Proxies())
    assert config_json.read() == own


def test_an_up_to_date_file_is_not_rewritten(home: Home) -> None:
    docker_config_proxies.follow(home, PROXIES)
    before = config_json.path().stat().st_mtime_ns
    docker_config_proxies.follow(home, PROXIES)
    assert config_json.path().stat().st_mtime_ns == before
    docker_config_proxies.follow(home, Proxies())
    assert config_json.read() == {}
