"""New containers and services get the proxy variables; all else stays as the client sent it."""

import json
from typing import Any

import pytest

from tests.unit.engine.admission.making import admission

OURS = {"HTTP_PROXY": "http://a:1", "http_proxy": "http://a:1"}
ADDED = ["HTTP_PROXY=http://a:1", "http_proxy=http://a:1"]


def changed(body: dict[str, Any]) -> Any:
    """The changed body, or None if it is unchanged."""
    sent, made = json.dumps(body).encode(), admission(variables=OURS)
    done = made.create_service(sent)[0] if "Name" in body else made.create_container(sent)
    return None if done == sent else json.loads(done)


@pytest.mark.parametrize("env", [{}, {"Env": None}, {"Env": []}, {"env": ["A=b"]}])
def test_a_container_gets_the_proxy_variables_beside_its_own(env: dict[str, Any]) -> None:
    body = {"Image": "x", **env, "Unknown": {"kept": 1}}
    [key] = env or ["Env"]
    assert changed(body) == {**body, key: [*(env.get(key) or []), *ADDED]}


@pytest.mark.parametrize("own", ["HTTP_PROXY=http://b:2", "http_proxy=", "Http_Proxy"])
def test_a_proxy_variable_of_the_client_is_kept(own: str) -> None:
    assert changed({"Image": "x", "Env": [own]}) is None


def test_a_service_gets_the_proxy_variables() -> None:
    body = {"Name": "s", "TaskTemplate": {"ContainerSpec": {"Image": "x", "Env": ["A=b"]}, "N": 1}}
    wanted = {"Image": "x", "Env": ["A=b", *ADDED]}
    assert changed(body) == {"Name": "s", "TaskTemplate": {"ContainerSpec": wanted, "N": 1}}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"Env": 1}', b'{"Env": [1]}', b"null"])
def test_an_invalid_body_is_passed_on_for_dockerd_to_refuse(body: bytes) -> None:
    assert admission(variables=OURS).create_container(body) == body


@pytest.mark.parametrize("task", [{}, {"ContainerSpec": None}, {"PluginSpec": {}}])
def test_a_service_without_containers_is_unchanged(task: dict[str, Any]) -> None:
    assert changed({"Name": "s", "TaskTemplate": task}) is None


def test_without_a_proxy_nothing_changes() -> None:
    assert admission().create_container(b'{"Image": "x"}') == b'{"Image": "x"}'
