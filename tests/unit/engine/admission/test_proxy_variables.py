"""Proxies in the environment of what is created; everything else stays as the client sent it."""

import json
from typing import Any

import pytest

from engine.admission import proxy_variables

OURS = {"HTTP_PROXY": "http://a:1", "http_proxy": "http://a:1"}
ADDED = ["HTTP_PROXY=http://a:1", "http_proxy=http://a:1"]


def changed(body: dict[str, Any]) -> Any:
    done = proxy_variables.check(json.dumps(body).encode(), OURS)
    return None if done is None else json.loads(done)


@pytest.mark.parametrize("env", [{}, {"Env": None}, {"Env": []}, {"env": ["A=b"]}])
def test_a_container_gets_them_beside_its_own(env: dict[str, Any]) -> None:
    body = {"Image": "x", **env, "Unknown": {"kept": 1}}
    [key] = env or ["Env"]
    assert changed(body) == {**body, key: [*(env.get(key) or []), *ADDED]}


@pytest.mark.parametrize("own", ["HTTP_PROXY=http://b:2", "http_proxy=", "Http_Proxy"])
def test_what_the_client_says_holds(own: str) -> None:
    assert changed({"Image": "x", "Env": [own]}) is None


def test_a_service_gets_them_too() -> None:
    body = {"Name": "s", "TaskTemplate": {"ContainerSpec": {"Image": "x", "Env": ["A=b"]}, "N": 1}}
    wanted = {"Image": "x", "Env": ["A=b", *ADDED]}
    assert changed(body) == {"Name": "s", "TaskTemplate": {"ContainerSpec": wanted, "N": 1}}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"Env": 1}', b'{"Env"', b'{"TaskTemplate": 1}'])
def test_nonsense_is_for_dockerd_to_refuse(body: bytes) -> None:
    assert proxy_variables.check(body, OURS) is None


def test_without_a_proxy_nothing_is_looked_at() -> None:
    assert proxy_variables.check(b'{"Image": "x"}', {}) is None
