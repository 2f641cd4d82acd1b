"""The docker contexts of this computer, read from files as the docker CLI writes them."""

import hashlib
import json
from pathlib import Path

import pytest

from engine.dockercli import context, contexts
from engine.dockercli.contexts import DockerContext
from vm.host.paths import Home


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "docker"
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(contexts, "DEFAULT_SOCKET", tmp_path / "none.sock")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "galley", tmp_path / "run")


def write_meta(docker: Path, name: str, text: str) -> str:
    folder = hashlib.sha256(name.encode()).hexdigest()
    path = docker / "contexts" / "meta" / folder / "meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return folder


def meta(name: str, host: str, **more: object) -> str:
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False, **more}}
    return json.dumps({"Name": name, "Metadata": {"Description": "D"}, "Endpoints": endpoints})


def others(home: Home) -> tuple[DockerContext, ...]:
    own, *rest = contexts.contexts(home)
    assert own.ours
    assert own.endpoint.url == context.endpoint(home)
    return tuple(rest)


def test_our_own_context_is_listed_exactly_once(docker: Path, home: Home) -> None:
    assert others(home) == ()
    context.ensure(home)
    write_meta(docker, "alias", meta("alias", context.endpoint(home)))
    assert others(home) == ()


def test_the_default_is_the_socket_or_docker_host(
    docker: Path, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contexts.DEFAULT_SOCKET.touch()
    (default,) = others(home)
    assert (default.name, default.endpoint.url) == ("default", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    docker.mkdir()
    (docker / "ca.pem").touch()
    (default,) = others(home)
    assert default.endpoint.url == "tcp://10.0.0.1:2376"
    assert default.endpoint.ca == str(docker / "ca.pem")
    assert default.endpoint.uses_tls
    monkeypatch.setenv("DOCKER_HOST", context.endpoint(home))
    assert others(home) == ()


def test_contexts_with_their_tls_material(docker: Path, home: Home) -> None:
    folder = write_meta(docker, "prod", meta("prod", "tcp://10.0.0.2:2376", SkipTLSVerify=True))
    tls = docker / "contexts" / "tls" / folder / "docker"
    tls.mkdir(parents=True)
    for name in ("ca", "cert", "key"):
        (tls / f"{name}.pem").touch()
    write_meta(docker, "far", meta("far", "ssh://example.com"))
    far, prod = others(home)
    assert (far.name, far.description, far.endpoint.scheme) == ("far", "D", "ssh")
    assert not far.endpoint.uses_tls
    assert prod.endpoint.key == str(tls / "key.pem")
    assert not prod.endpoint.verify


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Name": 5}', '{"Name": "x", "Endpoints": {}}'])
def test_a_broken_context_is_listed_with_its_problem(docker: Path, home: Home, text: str) -> None:
    write_meta(docker, "x", text)
    write_meta(docker, "y", meta("y", "unix:///y.sock"))
    found = {one.name: one for one in others(home)}
    assert found.pop("y").problem == ""
    (broken,) = found.values()
    assert "meta.json" in broken.problem
    assert broken.problem.endswith(".")
