"""`galley env`: every shell reads back exactly the value that was set."""

import json
import subprocess

import pytest

from engine.cli.env import SHELLS, current_shell
from tests.unit.engine.cli.conftest import Galley

HARD = 'unix:///tmp/it\'s a "path" $HOME `id` \\ %PATH%;&|/docker.sock'


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_bash_reads_back_the_value(shell: str) -> None:
    script = SHELLS["bash"].set("DOCKER_HOST", HARD) + '\nprintf %s "$DOCKER_HOST"'
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True)
    assert done.stdout == HARD


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("fish", r"set -gx A 'it\'s \\ $x';"),
        ("powershell", r"$Env:A = 'it''s \ $x'"),
        ("cmd", r'SET "A=it' + "'" + r's \ $x"'),
    ],
)
def test_quoting(shell: str, line: str) -> None:
    assert SHELLS[shell].set("A", r"it's \ $x") == line


def test_powershell_treats_typographic_quotes_as_quotes() -> None:
    assert SHELLS["powershell"].set("A", "it’s") == "$Env:A = 'it’’s'"


@pytest.mark.parametrize("shell", SHELLS)
def test_docker_host_is_set_and_unset(galley: Galley, shell: str) -> None:
    assert "docker.sock" in galley("env", "--shell", shell).stdout
    unset = galley("env", "--shell", shell, "--unset").stdout
    assert "DOCKER_HOST" in unset
    assert "docker.sock" not in unset


def test_tls_variables_of_another_engine_are_unset(galley: Galley) -> None:
    done = galley("env", "--shell", "bash", DOCKER_TLS_VERIFY="1")
    assert "unset DOCKER_TLS_VERIFY" in done.stdout.splitlines()


def test_json(galley: Galley) -> None:
    assert json.loads(galley("env", "--json").stdout)["DOCKER_HOST"].startswith("unix://")


@pytest.mark.parametrize(
    ("path", "name"), [("/bin/bash", "bash"), ("/usr/bin/fish", "fish"), ("/bin/zsh", "bash")]
)
def test_the_current_shell_is_detected(
    monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    monkeypatch.setenv("SHELL", path)
    assert current_shell() == name


def test_the_printed_line_works_in_bash(galley: Galley) -> None:
    shown = galley("env", "--shell", "bash").stdout
    script = f'{shown}\nprintf %s "$DOCKER_HOST"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.endswith("/run/docker.sock")
