"""`docker-credential-galley` on Windows' Credential Manager, one process for each action.

The stored credentials are also read with pywin32, which Galley does not use.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.credentials.helper import NO_LOGIN
from engine.credentials.keyring import WINDOWS_ROOM
from tests.windows.lane import Windows, windows_path

SERVER, OTHER = "registry.example.com:5000", "other.example.com"
PROXY = "http://me@example.com:3128"
PASSWORD = "pässword \"'\\\n→ 🔑"
ROOM = WINDOWS_ROOM // 2  # in characters
CREDENTIALS = """
import json
from win32.win32cred import CredEnumerate
print(json.dumps({
    one["TargetName"]: [one["UserName"], one["CredentialBlob"].decode("utf-16-le")]
    for one in CredEnumerate() or ()
}))
"""
FILL = """
import pathlib, sys
from engine.credentials.keyring import Login, Logins
from vm.errors import KeyringUnusable
logins = Logins(pathlib.Path(sys.argv[1]))
for number in range(200):
    try:
        logins.store(f"registry-{number}.example.com", Login("somebody", "secret"))
    except KeyringUnusable as error:
        print(number)
        print(error.summary, error.hint)
        break
print(logins.get(f"registry-{number}.example.com"), len(logins.list()))
for server in logins.list():
    logins.erase(server)
"""
ASK = """
import sys
from engine.credentials.helper import ask
print(ask("galley", *sys.argv[1:]))
"""


class Program:
    """The helper, as docker runs it. `folder`: docker's configuration."""

    def __init__(self, windows: Windows, folder: Path) -> None:
        self.windows = windows
        self.environment = {"DOCKER_CONFIG": windows_path(folder)}

    def __call__(self, action: str, given: str = "") -> tuple[int, str]:
        words = ("-P", "-m", "engine.cli.docker_credential", action)
        done = self.windows.python(*words, given=given, **self.environment)
        assert done.errors == ""
        return done.code, done.output.strip()

    def store(self, server: str, username: str, secret: str) -> tuple[int, str]:
        login = {"ServerURL": server, "Username": username, "Secret": secret}
        return self("store", json.dumps(login, ensure_ascii=False))

    def in_windows(self) -> dict[str, list[str]]:
        """The Credential Manager's entries: the name of each → user name and secret."""
        found: dict[str, list[str]] = json.loads(self.windows.output_of(CREDENTIALS))
        return found


@pytest.fixture
def helper(windows: Windows, tmp_path: Path) -> Iterator[Program]:
    helper = Program(windows, tmp_path / "docker's own")
    yield helper
    for server in json.loads(helper("list")[1]):
        helper("erase", server)


def test_logins_are_stored_read_listed_and_erased(helper: Program) -> None:
    assert helper.store(SERVER, "Jürgen", PASSWORD) == (0, "")
    assert helper.store(OTHER, "<token>", "t" * 1000) == (0, "")
    code, output = helper("get", f"{SERVER}\n")
    assert code == 0
    assert json.loads(output) == {"ServerURL": SERVER, "Username": "Jürgen", "Secret": PASSWORD}
    assert json.loads(helper("list")[1]) == {SERVER: "Jürgen", OTHER: "<token>"}
    assert helper.store(SERVER, "eve", "another") == (0, "")
    assert json.loads(helper("get", SERVER)[1])["Username"] == "eve"
    kept = helper.in_windows()
    assert ["eve", "another"] in [list(json.loads(secret).values()) for _, secret in kept.values()]
    assert helper("erase", SERVER) == helper("erase", SERVER) == (0, "")
    assert helper("get", SERVER) == (1, NO_LOGIN)
    assert json.loads(helper("list")[1]) == {OTHER: "<token>"}
    assert helper("erase", OTHER) == (0, "")
    assert "another" not in json.dumps(helper.in_windows())


@pytest.mark.parametrize(
    ("action", "given", "expected"),
    [
        ("get", SERVER, "credentials not found in native keychain"),
        ("get", " \r\n", "no credentials server URL"),
        ("store", '{"ServerURL": "x", "Secret": "s"}', "no credentials username"),
        ("delete", "", "Unknown credential action `delete`"),
    ],
)
def test_errors_are_the_exact_texts_that_docker_expects(
    helper: Program, action: str, given: str, expected: str
) -> None:
    assert helper(action, given) == (1, expected)


def test_a_secret_that_is_too_long_is_refused_and_changes_nothing(helper: Program) -> None:
    overhead = len(json.dumps({"Username": "bob", "Secret": ""}))
    assert helper.store(SERVER, "bob", "x" * (ROOM - overhead)) == (0, "")
    assert len(json.loads(helper("get", SERVER)[1])["Secret"]) == ROOM - overhead
    code, output = helper.store(SERVER, "bob", "y" * (ROOM - overhead + 1))
    assert code == 1
    assert output.startswith(
        "This secret is too long for the Credential Manager of Windows.\nUse a"
    )
    assert json.loads(helper("get", SERVER)[1])["Secret"][0] == "x"
    assert helper.store(OTHER, "bob", "→" * (ROOM // 2))[0] == 1
    assert helper("get", OTHER) == (1, NO_LOGIN)
    assert json.loads(helper("list")[1]) == {SERVER: "bob"}
    assert max(len(secret) for _, secret in helper.in_windows().values()) <= ROOM


def test_no_login_is_stored_if_the_list_is_full(windows: Windows, tmp_path: Path) -> None:
    output = windows.output_of(FILL, windows_path(tmp_path)).splitlines()
    assert int(output[0]) > 20
    assert output[1].startswith("The Credential Manager of Windows has no room for the list")
    assert output[2] == f"None {output[0]}"


def test_logins_at_the_same_time_are_all_listed(helper: Program) -> None:
    servers = [f"{number}.example.com" for number in range(4)]
    words = (helper.windows.python_exe, "-P", "-m", "engine.cli.docker_credential", "store")
    started = [helper.windows.start(*words, **helper.environment) for _ in servers]
    for server, one in zip(servers, started, strict=True):
        login = {"ServerURL": server, "Username": f"at {server}", "Secret": "s"}
        assert one.stdin is not None
        one.stdin.write(json.dumps(login).encode())
        one.stdin.close()
        one.stdin = None
    assert [one.communicate(timeout=60)[0] for one in started] == [b""] * 4
    assert [one.returncode for one in started] == [0] * 4
    assert json.loads(helper("list")[1]) == {server: f"at {server}" for server in servers}


def test_galley_finds_its_helper_on_windows(helper: Program) -> None:
    output = helper.windows.output_of(ASK, "get", SERVER, **helper.environment)
    assert output.strip() == NO_LOGIN
    helper.store(SERVER, "bob", PASSWORD)
    output = helper.windows.output_of(ASK, "get", SERVER, **helper.environment)
    assert json.loads(output)["Secret"] == PASSWORD


def test_proxy_passwords_are_not_listed_as_logins(helper: Program) -> None:
    given = json.dumps({"Address": PROXY, "Password": PASSWORD})
    assert helper("proxy-store", given) == (0, "")
    assert json.loads(helper("proxy-get", PROXY)[1]) == PASSWORD
    assert helper("list") == (0, "{}")
    assert helper("proxy-store", json.dumps({"Address": PROXY, "Password": "x" * 1281}))[0] == 1
    assert helper("proxy-erase", PROXY) == helper("proxy-erase", PROXY) == (0, "")
    assert helper("proxy-get", PROXY) == (1, NO_LOGIN)
