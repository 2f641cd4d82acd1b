"""`galley docker` and `compose`: arguments passed on, Galley's endpoint, docker's exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli import docker as docker_module
from engine.cli import main, reach
from engine.cli.docker import needs_engine
from engine.dockercli.tools import has_compose
from tests.unit.engine.cli.conftest import ROOT, Galley

FAKE = """
import json, os, sys
print(json.dumps([sys.argv[1:], {k: v for k, v in os.environ.items() if k.startswith("DOCKER")}]))
sys.exit(17)
"""


@pytest.fixture
def fake(tmp_path: Path) -> str:
    """A PATH with a docker that prints its arguments and environment."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.with_suffix(".py").write_text(FAKE)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$0.py" "$@"\n')
    program.chmod(0o755)
    return str(program.parent)


def received(done: subprocess.CompletedProcess[str]) -> tuple[list[str], dict[str, str]]:
    words, env = json.loads(done.stdout)
    return words, env


@pytest.mark.parametrize(
    "words",
    [
        ["ps", "-a", "--format", "{{json .}}"],
        ["--help"],
        ["run", "--help"],
        ["run", "--", "-v", "--details", "a b", ""],
    ],
)
def test_every_argument_is_passed_on(galley: Galley, fake: str, words: list[str]) -> None:
    done = galley("docker", *words, PATH=fake)
    assert done.returncode == 17
    assert received(done)[0] == words


def test_arguments_after_an_option_of_galley_are_passed_on(galley: Galley, fake: str) -> None:
    done = galley("--details", "docker", "ps", "--details", "-v", "--help", PATH=fake)
    assert done.returncode == 17
    assert received(done)[0] == ["ps", "--details", "-v", "--help"]


def test_galley_s_endpoint_overrides_the_environment(galley: Galley, fake: str) -> None:
    done = galley("docker", "ps", PATH=fake, DOCKER_HOST="tcp://elsewhere:1", DOCKER_TLS_VERIFY="1")
    env = received(done)[1]
    assert env["DOCKER_HOST"].endswith("/run/docker.sock")
    assert env["DOCKER_TLS_VERIFY"] == ""


def test_a_stopped_engine_is_reported(galley: Galley, fake: str) -> None:
    assert "galley start" in galley("docker", "ps", PATH=fake).stderr
    assert galley("docker", "ps", "--help", PATH=fake).stderr == ""
    assert galley("docker", "--version", PATH=fake).stderr == ""


def test_needs_engine() -> None:
    assert needs_engine(["ps"])
    assert not needs_engine([])
    assert not needs_engine(["run", "--help"])


def test_compose_with_the_plugin(galley: Galley, fake: str, tmp_path: Path) -> None:
    plugin = tmp_path / "config" / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(parents=True)
    plugin.touch(0o755)
    done = galley("compose", "up", "-d", PATH=fake, DOCKER_CONFIG=str(tmp_path / "config"))
    assert received(done)[0] == ["compose", "up", "-d"]


def test_compose_is_found_in_the_extra_plugin_folders(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "docker-compose").touch(0o755)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"cliPluginsExtraDirs": [str(folder)]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(tmp_path))
        assert has_compose(Path("docker"))
        config.write_text("not json")
        patch.setattr("engine.dockercli.tools._PLUGIN_FOLDERS", ())
        assert not has_compose(Path("docker"))


def test_without_docker_the_command_runs_in_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    def run(argv: tuple[str, ...]) -> int:
        commands.append(argv)
        return 42

    monkeypatch.setattr(docker_module, "docker_cli", lambda: None)
    monkeypatch.setattr(reach, "run_in_guest", run)
    assert main(["docker", "ps", "--help"]) == 42
    assert main(["compose", "ps"]) == 42
    assert commands[0][-3:] == ("docker", "ps", "--help")
    assert commands[1][-3:] == ("docker", "compose", "ps")


def test_the_fast_path_imports_no_click() -> None:
    script = (
        "import sys; from engine.cli import docker; docker.replace = 0\n"
        "from vm.host import process\n"
        "process.replace_with = lambda argv, env: 0\n"
        "from engine.cli import main; main(['docker', 'ps'])\n"
        "heavy = {'click', 'rich', 'paramiko', 'tomlkit', 'engine.engine'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
