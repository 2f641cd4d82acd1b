"""`docker-credential-galley` with a real keyring, called by docker-py's client of its protocol.

The docker CLI calls it in `tests/unit/engine/docker/test_registry.py`, which has a registry to log
in to.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from docker.credentials import Store
from docker.credentials.errors import CredentialsNotFound, StoreError

from engine.credentials.keyring import Login, Logins
from tests.unit.engine.secret_service import SecretService, unlocked

PROGRAM = "docker-credential-galley"
SHORT_PATIENCE = """
import functools
from engine.cli import docker_credential as helper
helper.Logins = functools.partial(helper.Logins, patience=0.5)
helper.main()
"""
SERVER = "registry.example.com:5000"
PROXY = "http://me@example.com:3128"


@pytest.fixture
def service() -> Iterator[SecretService]:
    with unlocked() as service:
        yield service


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    return Logins(tmp_path, patience=10)


def helper(action: str, given: str = "", **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [PROGRAM, action],
        input=given.encode(),
        capture_output=True,
        timeout=30,
        env={**os.environ, **environment},
    )
    assert done.stderr == b""
    return done.returncode, done.stdout.decode().strip()


def test_docker_py_stores_gets_lists_and_erases(service: SecretService) -> None:
    store: Any = Store("galley")
    store.store(SERVER, "bob", "pässword \"'\\\n…")
    store.store("other.example.com", "<token>", "t" * 4000)
    assert store.get(SERVER) == {
        "ServerURL": SERVER, "Username": "bob", "Secret": "pässword \"'\\\n…",
    }  # fmt: skip
    assert store.list() == {SERVER: "bob", "other.example.com": "<token>"}
    store.store(SERVER, "eve", "another")
    assert store.get(SERVER)["Username"] == "eve"
    assert store.list()[SERVER] == "eve"
    store.erase(SERVER)
    with pytest.raises(CredentialsNotFound):
        store.get(SERVER)
    assert store.list() == {"other.example.com": "<token>"}


@pytest.mark.parametrize(
    ("action", "given", "output"),
    [
        ("get", SERVER, "credentials not found in native keychain"),
        ("get", " \n", "no credentials server URL"),
        ("erase", "", "no credentials server URL"),
        ("store", '{"Username": "bob", "Secret": "s"}', "no credentials server URL"),
        ("store", '{"ServerURL": "x", "Secret": "s"}', "no credentials username"),
        ("delete", "", "Unknown credential action `delete`"),
    ],
)
def test_errors_are_worded_as_docker_expects(
    service: SecretService, action: str, given: str, output: str
) -> None:
    assert helper(action, given) == (1, output)


@pytest.mark.parametrize("given", ["", "[]", "{", '"text"', "7"])
def test_an_invalid_login_is_refused(service: SecretService, given: str) -> None:
    code, output = helper("store", given)
    assert code == 1
    assert output.startswith("this is no login in JSON")
    assert helper("list") == (0, "{}")


def test_erasing_a_missing_login_succeeds(service: SecretService) -> None:
    assert helper("erase", SERVER) == (0, "")


def test_proxy_passwords_are_not_listed_as_logins(service: SecretService) -> None:
    password = " pässword \"'\\\n "
    assert helper("proxy-store", json.dumps({"Address": PROXY, "Password": password})) == (0, "")
    code, output = helper("proxy-get", PROXY)
    assert (code, json.loads(output)) == (0, password)
    assert helper("list") == (0, "{}")
    assert helper("proxy-erase", PROXY) == helper("proxy-erase", PROXY) == (0, "")
    assert helper("proxy-get", PROXY) == (1, "credentials not found in native keychain")


def test_the_version_is_printed(service: SecretService) -> None:
    code, output = helper("version")
    assert code == 0
    assert output.startswith(PROGRAM)


def test_logins_stored_at_the_same_time_are_all_listed(service: SecretService) -> None:
    servers = [f"{number}.example.com" for number in range(6)]

    def store(server: str) -> tuple[int, str]:
        login = {"ServerURL": server, "Username": f"at {server}", "Secret": "s"}
        return helper("store", json.dumps(login))

    with ThreadPoolExecutor(len(servers)) as pool:
        assert list(pool.map(store, servers)) == [(0, "")] * len(servers)
    assert json.loads(helper("list")[1]) == {server: f"at {server}" for server in servers}


def test_no_file_holds_the_secret(service: SecretService, logins: Logins, tmp_path: Path) -> None:
    logins.store(SERVER, Login("bob", "to-be-found-nowhere"))
    files = [
        path
        for folder in (service.folder, tmp_path, Path(os.environ["DOCKER_CONFIG"]))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]
    assert any(path.suffix == ".keyring" for path in files)
    assert not [path for path in files if b"to-be-found-nowhere" in path.read_bytes()]


def test_a_locked_keyring_is_reported_immediately(service: SecretService, logins: Logins) -> None:
    logins.store(SERVER, Login("bob", "secret"))
    service.lock()
    proxies = (("proxy-get", PROXY), ("proxy-erase", PROXY))
    for action, given in (
        ("check", ""),
        ("list", ""),
        ("get", SERVER),
        ("erase", SERVER),
        *proxies,
    ):
        code, output = helper(action, given)
        assert code == 1
        assert output.startswith("The keyring is locked.\nUnlock it")
    store: Any = Store("galley")
    with pytest.raises(StoreError, match="The keyring is locked"):
        store.get(SERVER)


def test_a_keyring_that_does_not_answer_times_out(service: SecretService) -> None:
    """In a separate process, because its waiting thread never ends."""
    with service.silent():
        done = subprocess.run(
            [sys.executable, "-c", SHORT_PATIENCE, "get"],
            input=SERVER.encode(),
            capture_output=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert done.stdout.startswith(b"The keyring has not answered for 0.5 s.\nIt may wait")
    assert done.stderr == b""


def test_a_login_deleted_by_another_program_is_missing(
    service: SecretService, logins: Logins
) -> None:
    logins.store(SERVER, Login("bob", "secret"))
    service.delete_externally(SERVER)
    assert logins.get(SERVER) is None
    logins.erase(SERVER)
    assert logins.list() == {}


@pytest.mark.parametrize(
    "environment",
    [
        {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"},
        {"DBUS_SESSION_BUS_ADDRESS": ""},
        {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"},
        {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
        {"PYTHON_KEYRING_BACKEND": "no.such.Keyring"},
    ],
)
def test_without_a_keyring_nothing_is_stored(
    service: SecretService, environment: dict[str, str]
) -> None:
    login = json.dumps({"ServerURL": SERVER, "Username": "bob", "Secret": "secret"})
    password = json.dumps({"Address": PROXY, "Password": "secret"})
    proxies = (("proxy-store", password), ("proxy-get", PROXY), ("proxy-erase", PROXY))
    for action, given in (("store", login), ("get", SERVER), ("list", ""), ("check", ""), *proxies):
        code, output = helper(action, given, **environment)
        assert code == 1
        assert output.startswith("There is no keyring on this computer")
        assert "gnome-keyring" in output
        assert "galley settings set use_keyring false" in output
    assert not list(Path(os.environ["DOCKER_CONFIG"]).parent.rglob("*logins*"))
