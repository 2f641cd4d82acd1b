"""Builder containers get a bind mount of the certificates, unless they have their own."""

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
    """The changed body, or None if it is unchanged."""
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
def test_a_builder_gets_the_certificates(image: str) -> None:
    body = {"Image": image, "HostConfig": {"Privileged": True, "Mounts": [STATE]}}
    config = {"Privileged": True, "Mounts": [STATE], "Binds": [CERTIFICATES]}
    assert changed(body) == {"Image": image, "HostConfig": config}


@pytest.mark.parametrize("config", [{}, {"HostConfig": None}, {"hostconfig": {"binds": ["/a:/b"]}}])
def test_a_builder_keeps_its_other_binds(config: dict[str, Any]) -> None:
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
def test_other_images_get_no_certificates(image: str) -> None:
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
def test_a_builder_with_its_own_certificates_is_unchanged(config: dict[str, Any]) -> None:
    assert changed({"Image": "moby/buildkit", "HostConfig": config}) is None


def test_mounts_beside_the_certificate_folder_are_no_certificates() -> None:
    config = {"Binds": ["x:/etc/ssl/certs2"], "Mounts": [{"Target": "/etc/buildkit"}]}
    done = changed({"Image": "moby/buildkit", "HostConfig": {**config, "Tmpfs": {"/run": ""}}})
    assert done["HostConfig"]["Binds"] == ["x:/etc/ssl/certs2", CERTIFICATES]


def test_a_builder_with_top_level_binds_keeps_them_at_the_top_level() -> None:
    """As in requests before API 1.18."""
    body = {"Image": "moby/buildkit", "binds": ["x:/y"], "Privileged": True}
    assert changed(body) == {**body, "binds": ["x:/y", CERTIFICATES]}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"Image": 1}'])
def test_an_invalid_body_is_passed_on_for_dockerd_to_refuse(body: bytes) -> None:
    assert admission().create_container(body) == body
