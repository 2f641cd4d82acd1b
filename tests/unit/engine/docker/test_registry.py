"""Logins to a real registry, by the docker CLI and by the engine, in a real keyring."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.credentials import logins
from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from engine.docker.registry import server_key
from tests.unit.engine.bridge.servers import IMAGE, Dockerd
from tests.unit.engine.docker.private_registry import ADDRESS, PASSWORD, USER, PrivateRegistry
from tests.unit.engine.secret_service import unlocked
from vm.errors import EngineRefused, GalleyError

NAME = f"{ADDRESS}/secret/image:1"


@pytest.fixture
def _registry(dockerd: Dockerd, tmp_path: Path) -> Iterator[None]:
    made = PrivateRegistry(dockerd, tmp_path)
    made.start()
    yield
    made.stop()


@pytest.fixture
def _keyring(_registry: None) -> Iterator[None]:
    with unlocked():
        logins.keep_with_us()
        yield


def docker(dockerd: Dockerd, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *words],
        input=stdin,
        text=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "DOCKER_HOST": f"unix://{dockerd.socket}"},
    )


def config() -> dict[str, object]:
    found = json.loads(Path(os.environ["DOCKER_CONFIG"], "config.json").read_text())
    return dict(found)


@pytest.mark.usefixtures("_keyring")
def test_docker_logs_in_pushes_pulls_and_logs_out(dockerd: Dockerd, client: DockerClient) -> None:
    refused = docker(dockerd, "login", "-u", USER, "--password-stdin", ADDRESS, stdin="wrong")
    assert refused.returncode != 0
    assert logins.logins() == ()
    done = docker(dockerd, "login", "-u", USER, "--password-stdin", ADDRESS, stdin=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert "unencrypted" not in done.stderr
    assert logins.logins() == (logins.RegistryLogin(ADDRESS, USER, "galley"),)
    assert config() == {"auths": {ADDRESS: {}}, "credsStore": "galley"}

    # The window and docker both push and pull with the login that docker stored.
    client.images.tag(IMAGE, NAME)
    list(client.images.push(NAME, Cancel()))
    client.images.remove(NAME)
    pulled = docker(dockerd, "pull", NAME)
    assert pulled.returncode == 0, pulled.stderr
    client.images.remove(NAME)
    list(client.images.pull(NAME, Cancel()))
    client.images.remove(NAME)

    assert docker(dockerd, "logout", ADDRESS).returncode == 0
    assert logins.logins() == ()
    with pytest.raises(EngineRefused):
        list(client.images.pull(NAME, Cancel()))
    assert docker(dockerd, "pull", NAME).returncode != 0


@pytest.mark.usefixtures("_keyring")
def test_docker_uses_a_login_of_the_window(dockerd: Dockerd, client: DockerClient) -> None:
    with pytest.raises(EngineRefused, match=f"{ADDRESS} does not take this login") as raised:
        client.login(ADDRESS, USER, "wrong")
    assert "Check the user name" in raised.value.hint
    accepted = client.login(f"http://{ADDRESS}/v2/", USER, PASSWORD)
    assert (accepted.server, accepted.username) == (ADDRESS, USER)
    logins.add(accepted.server, accepted.username, accepted.secret)
    client.images.tag(IMAGE, NAME)
    pushed = docker(dockerd, "push", NAME)
    assert pushed.returncode == 0, pushed.stderr
    client.images.remove(NAME)
    logins.erase(ADDRESS)
    assert docker(dockerd, "push", NAME).returncode != 0


@pytest.mark.usefixtures("_registry")
def test_docker_reports_why_it_cannot_store_a_login(dockerd: Dockerd) -> None:
    with unlocked() as keyring:
        logins.keep_with_us()
        keyring.lock()
        done = docker(dockerd, "login", "-u", USER, "--password-stdin", ADDRESS, stdin=PASSWORD)
        assert done.returncode != 0
        assert "The keyring is locked." in done.stderr
        encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        assert encoded not in json.dumps(config())


@pytest.mark.usefixtures("_registry")
def test_logins_in_the_plain_file_are_moved_to_the_keyring(
    dockerd: Dockerd, client: DockerClient
) -> None:
    done = docker(dockerd, "login", "-u", USER, "--password-stdin", ADDRESS, stdin=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert logins.logins() == (logins.RegistryLogin(ADDRESS, USER, ""),)
    client.images.tag(IMAGE, NAME)
    list(client.images.push(NAME, Cancel()))  # by a window opened before the move
    with unlocked():
        with pytest.raises(GalleyError, match="plain file"):
            logins.keep_with_us()
        assert logins.move_plain() == (ADDRESS,)
        assert config() == {"auths": {ADDRESS: {}}, "credsStore": "galley"}
        assert logins.logins() == (logins.RegistryLogin(ADDRESS, USER, "galley"),)
        pushed = docker(dockerd, "push", NAME)
        assert pushed.returncode == 0, pushed.stderr
        list(client.images.push(NAME, Cancel()))
        client.images.remove(NAME)


def test_a_server_has_the_key_that_docker_uses() -> None:
    hub = server_key("")
    assert hub.endswith("index.docker.io/v1/")
    assert {server_key(name) for name in ("docker.io", "index.docker.io", "Docker.io", hub)} == {
        hub
    }
    assert server_key(" https://example.com/V2/ ") == "example.com"
    assert server_key("localhost:5000") == "localhost:5000"
