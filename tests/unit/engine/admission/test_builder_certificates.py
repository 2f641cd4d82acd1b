"""Which containers are builders, and that they get the authorities once, beside all they have."""

import json
from typing import Any

import pytest

from engine.admission import additions
from engine.admission.create_request import CreateContainer
from engine.admission.go_json import read
from tests.unit.engine.admission.making import admission

CERTIFICATES = "/etc/ssl/certs:/etc/ssl/certs:ro"
STATE = {"Type": "volume", "Source": "buildx_buildkit_b0_state", "Target": "/var/lib/buildkit"}


def changed(body: dict[str, Any]) -> Any:
    """What is sent instead; None for the body itself."""
    document = read(json.dumps(body).encode(), CreateContainer)
    request = document.value
    host = additions.with_certificates(request.image, request.host)
    done = json.loads(document.encode(request.with_host(host)))
    return None if done == body else done


@pytest.mark.parametrize(
    "image",
    [
        *("moby/buildkit", "moby/buildkit:buildx-stable-1", "moby/buildkit@sha256:12"),
        *("docker.io/moby/buildkit:v0.13.2-rootless", "moby/buildkit:nightly"),
        *("mirror.example.com:5000/hub/moby/buildkit", "h:5000/moby/buildkit:latest@sha256:12"),
        *("h/moby/buildkit:buildx-stable-1-rootless", "h/moby/buildkit:v0.31.0-rc1-rootless"),
        *("h/moby/buildkit:master", "h/moby/buildkit:rootless", "h/moby/buildkit:v0.13"),
    ],
)
def test_a_builder_gets_the_authorities(image: str) -> None:
    body = {"Image": image, "HostConfig": {"Privileged": True, "Mounts": [STATE]}}
    config = {"Privileged": True, "Mounts": [STATE], "Binds": [CERTIFICATES]}
    assert changed(body) == {"Image": image, "HostConfig": config}


@pytest.mark.parametrize("config", [{}, {"HostConfig": None}, {"hostconfig": {"binds": ["/a:/b"]}}])
def test_whatever_else_it_is_to_have(config: dict[str, Any]) -> None:
    [(key, had)] = config.items() or [("HostConfig", None)]
    binds = (had or {}).get("binds", [])
    name = "binds" if binds else "Binds"
    done = changed({"Image": "moby/buildkit", **config})
    assert done == {"Image": "moby/buildkit", key: {name: [*binds, CERTIFICATES]}}


@pytest.mark.parametrize(
    "image",
    [
        *("alpine", "me/buildkit", "moby/buildkits", "moby/buildkit/y", "xmoby/buildkit"),
        *("me/own:buildx-stable-1", "corp.example.com/moby/buildkit:with-our-ca"),
        *("h/moby/buildkit:v0.13.2-with-our-ca", "h/moby/buildkit:vendor", "h/moby/buildkit@sha:1"),
    ],
)
def test_nobody_else_does(image: str) -> None:
    assert changed({"Image": image, "HostConfig": {"Mounts": [STATE]}}) is None


@pytest.mark.parametrize(
    "config",
    [
        {"Binds": ["/home/ann/own:/etc/ssl/certs"]},
        {"Mounts": [{"Type": "bind", "Source": "/home/ann/own", "Target": "/etc/ssl/certs"}]},
        {"Binds": ["/home/ann/corp.pem:/etc/ssl/certs/corp.pem:ro"]},
        {"Binds": ["x:/etc/ssl/certs/"]},
        {"Binds": ["x://etc/./ssl/certs"]},
        {"Binds": ["/etc/ssl/certs"]},
        {"Binds": ["ssl:/etc/ssl"]},
        {"Mounts": [{"Type": "volume", "Source": "ssl", "Target": "/etc/ssl/"}]},
        {"Tmpfs": {"/etc/ssl/certs": ""}},
    ],
)
def test_who_brings_its_own_keeps_them(config: dict[str, Any]) -> None:
    assert changed({"Image": "moby/buildkit", "HostConfig": config}) is None


def test_what_is_only_beside_them_is_not_its_own() -> None:
    config = {"Binds": ["x:/etc/ssl/certs2"], "Mounts": [{"Target": "/etc/buildkit"}]}
    done = changed({"Image": "moby/buildkit", "HostConfig": {**config, "Tmpfs": {"/run": ""}}})
    assert done["HostConfig"]["Binds"] == ["x:/etc/ssl/certs2", CERTIFICATES]


def test_a_builder_of_the_old_kind_keeps_its_settings_where_they_are() -> None:
    """As before API 1.18."""
    body = {"Image": "moby/buildkit", "binds": ["x:/y"], "Privileged": True}
    assert changed(body) == {**body, "binds": ["x:/y", CERTIFICATES]}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"Image": 1}'])
def test_nonsense_is_for_dockerd_to_refuse(body: bytes) -> None:
    assert admission().create_container(body) == body
