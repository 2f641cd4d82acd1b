"""`galley login` and `logout` run docker's commands; `galley logins` lists the logins."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.credentials import logins
from tests.unit.engine.cli.conftest import Galley
from tests.unit.engine.secret_service import SecretService, unlocked
from vm.host.paths import Home

PLAIN = '{"auths": {"a.example.com": {"auth": "Ym9iOnNlY3JldA=="}}}'
FAKE = '#!/bin/sh\necho "$@"\ncommand -v docker-credential-galley\n'


@pytest.fixture
def keyring() -> Iterator[SecretService]:
    with unlocked() as service:
        yield service


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with a docker that prints its arguments and the path of the credential helper."""
    program = tmp_path / "docker"
    program.write_text(FAKE)
    program.chmod(0o755)
    return f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"


@pytest.mark.parametrize("word", ["login", "logout"])
def test_docker_runs_the_command_and_finds_the_credential_helper(
    galley: Galley, path: str, word: str
) -> None:
    words, helper = galley(word, "-u", "bob", "--details", PATH=path).stdout.splitlines()
    assert words == f"{word} -u bob --details"
    assert Path(helper).name == "docker-credential-galley"


def test_a_login_makes_the_keyring_docker_s_store(
    galley: Galley, home: Home, keyring: SecretService, path: str
) -> None:
    """A locked keyring is reported, unless the setting use_keyring is false."""
    found = f"{os.environ['PATH'].partition(os.pathsep)[0]}{os.pathsep}{path}"
    galley("login", "--help", PATH=found)
    assert not logins.has_store()
    assert "keyring" not in galley("login", PATH=found).stderr
    assert logins.has_store()

    logins.leave(home)
    keyring.lock()
    done = galley("login", PATH=found)
    assert "The keyring is locked." in done.stderr
    assert done.stdout.startswith("login")
    assert not logins.has_store()
    galley("settings", "set", "use_keyring", "false")
    assert "keyring" not in galley("login", PATH=found).stderr


def test_a_login_without_docker_fails(galley: Galley, tmp_path: Path) -> None:
    done = galley("login", PATH=str(tmp_path))
    assert done.returncode != 0
    assert "no docker program" in done.stderr


def test_logins_are_listed_and_moved(galley: Galley, keyring: SecretService) -> None:
    assert "There are no logins" in galley("logins").stdout
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir()
    (folder / "config.json").write_text(PLAIN)
    assert galley("logins").stdout == "a.example.com  bob  (plain file)\n"
    moved = galley("logins", "--move", "--json")
    assert "Moved: a.example.com." in moved.stderr
    assert json.loads(moved.stdout) == [
        {"server": "a.example.com", "username": "bob", "store": "galley"}
    ]
    assert "nothing to move" in galley("logins", "--move").stderr
