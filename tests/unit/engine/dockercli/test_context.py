"""The docker context, checked with the real docker CLI, which the tests need."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from engine.dockercli import config_json, context
from engine.dockercli.context import context_name, endpoint, ensure, is_current, remove, use
from vm.errors import HostError
from vm.host import process
from vm.host.paths import Home, default_root, home_at


@pytest.fixture
def config() -> Path:
    """DOCKER_CONFIG of this test, still empty."""
    return Path(os.environ["DOCKER_CONFIG"])


def docker(*words: str) -> str:
    done = process.run(["docker", "context", *words], timeout=30)
    assert done.ok, done.tail()
    return done.stdout.decode().strip()


def write_config(config: Path, text: str) -> Path:
    config.mkdir(exist_ok=True)
    (config / "config.json").write_text(text)
    return config / "config.json"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_default_home_is_galley_and_others_have_their_own_names(home: Home) -> None:
    default = Path(platformdirs.user_data_dir("galley", False))
    assert context_name(Home(default, default / "run")) == "galley"
    assert context_name(home).startswith("galley-")
    assert context_name(home) != context_name(Home(Path("/other"), Path("/other/run")))


def test_docker_accepts_the_context_as_its_own(home: Home, config: Path) -> None:
    assert ensure(home) is None
    name = context_name(home)
    assert docker("show") == name
    assert docker("ls", "--format", "{{.Name}} {{.DockerEndpoint}} {{.Current}} {{.Error}}") == (
        f"default unix:///var/run/docker.sock false \n{name} {endpoint(home)} true"
    )
    seen = json.loads(docker("inspect", name))[0]
    assert seen["Endpoints"]["docker"] == {"Host": endpoint(home), "SkipTLSVerify": False}
    assert seen["Metadata"]["Description"] == "Galley"
    made = Path(seen["Storage"]["MetadataPath"], "meta.json")
    assert made.is_file()
    docker("create", "theirs", "--description", "Galley", "--docker", f"host={endpoint(home)}")
    theirs = Path(json.loads(docker("inspect", "theirs"))[0]["Storage"]["MetadataPath"])
    ours, docker_wrote = (json.loads(p.read_text()) for p in (made, theirs / "meta.json"))
    assert list(ours) == list(docker_wrote)
    assert ours["Endpoints"] == docker_wrote["Endpoints"]
    docker("update", name, "--description", "changed by the user")
    assert json.loads(made.read_text())["Metadata"]["GalleyHome"] == str(home.root)
    ensure(home)
    assert "changed by the user" in made.read_text()


def test_docker_sees_nothing_after_remove(home: Home, config: Path) -> None:
    ensure(home)
    remove(home)
    assert docker("show") == "default"
    assert docker("ls", "--format", "{{.Name}}") == "default"
    assert list((config / "contexts" / "meta").iterdir()) == []


def test_a_context_that_docker_made_for_our_socket_is_ours(home: Home, config: Path) -> None:
    docker("create", context_name(home), "--docker", f"host={endpoint(home)}")
    assert ensure(home) is None
    assert not is_current(home)


def test_a_second_ensure_changes_nothing(home: Home, config: Path) -> None:
    ensure(home)
    before = files(config)
    assert ensure(home) is None
    assert files(config) == before


def test_a_later_start_keeps_the_users_return_to_default(home: Home, config: Path) -> None:
    ensure(home)
    write_config(config, "{}")  # what `docker context use default` leaves
    ensure(home)
    assert not is_current(home)


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_a_context_chosen_in_the_environment_is_kept(
    home: Home, config: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "something")
    assert ensure(home) is None
    assert not (config / "config.json").exists()


def test_a_current_context_stays(home: Home, config: Path) -> None:
    text = '{"currentContext": "work"}'
    file = write_config(config, text)
    assert ensure(home) is None
    assert file.read_text() == text
    remove(home)
    assert file.read_text() == text


def test_other_fields_order_and_mode_are_kept(home: Home, config: Path) -> None:
    given = {"auths": {"é.example.com": {"auth": "eA=="}}, "proxies": {}, "psFormat": "x", "n": 1.5}
    file = write_config(config, json.dumps(given))
    file.chmod(0o640)
    ensure(home)
    assert list(json.loads(file.read_text()).items()) == [
        *given.items(), ("currentContext", context_name(home)),
    ]  # fmt: skip
    assert '\n\t"auths": {\n\t\t"é.example.com"' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    remove(home)
    assert json.loads(file.read_text()) == given


def test_a_new_config_is_private(home: Home, config: Path) -> None:
    ensure(home)
    assert (config / "config.json").stat().st_mode & 0o777 == 0o600


def test_a_symlinked_config_stays_a_symlink(home: Home, config: Path, tmp_path: Path) -> None:
    config.mkdir()
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    (config / "config.json").symlink_to(real)
    ensure(home)
    assert (config / "config.json").is_symlink()
    assert json.loads(real.read_text())["currentContext"] == context_name(home)


def test_a_foreign_context_with_our_name_is_kept_and_reported(home: Home, config: Path) -> None:
    meta = context._meta(home)
    meta.parent.mkdir(parents=True)
    meta.write_text('{"Name":"x","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://far"}}}')
    before = files(config)
    problem = ensure(home)
    assert problem
    assert "points at ssh://far" in problem.summary
    assert f"docker context rm {context_name(home)}" in problem.hint
    remove(home)
    assert files(config) == before


def test_our_context_follows_a_moved_socket(home: Home, config: Path) -> None:
    ensure(home)
    moved = Home(home.root, home.run / "elsewhere")
    assert ensure(moved) is None
    assert endpoint(moved) in context._meta(home).read_text()


@pytest.mark.parametrize("broken", ["{", "[]", "\x00"])
def test_a_broken_config_is_reported_and_kept(home: Home, config: Path, broken: str) -> None:
    file = write_config(config, broken)
    with pytest.raises(HostError, match=r"config\.json cannot be used"):
        ensure(home)
    assert file.read_text() == broken


@pytest.mark.parametrize("meta", ["[]", "7", '{"Metadata": null}', '{"Endpoints": {"docker": 1}}'])
def test_unexpected_metadata_is_reported_and_kept(home: Home, config: Path, meta: str) -> None:
    file = context._meta(home)
    file.parent.mkdir(parents=True)
    file.write_text(meta)
    try:
        problem = ensure(home)
    except HostError as error:
        problem = error.to_problem()
    assert problem
    assert file.read_text() == meta


def test_a_directory_that_cannot_be_written_is_reported(home: Home, config: Path) -> None:
    config.write_text("a file, not a directory")
    with pytest.raises(HostError, match="cannot be used"):
        ensure(home)


def test_remove_without_a_context(home: Home, config: Path) -> None:
    remove(home)
    assert not config.exists()


def test_use_makes_the_context_current(home: Home, config: Path) -> None:
    file = write_config(config, '{"currentContext": "other"}')
    use(home)
    assert json.loads(file.read_text())["currentContext"] == context_name(home)
    assert is_current(home)


def home_in(folder: Path) -> Home:
    folder.mkdir(exist_ok=True)
    return home_at(folder)


def test_contexts_of_deleted_homes_are_removed(home: Home, config: Path, tmp_path: Path) -> None:
    """Only contexts that Galley made and that are unchanged."""
    gone, moved, there = (home_in(tmp_path / name) for name in ("gone", "moved", "there"))
    for one in (gone, moved, there):
        ensure(one)
    use(gone)
    docker("update", context_name(moved), "--docker", "host=tcp://192.0.2.1:2375")
    docker("create", "galley-cafecafe", "--docker", f"host=unix://{tmp_path}/nowhere.sock")
    docker("create", "mine", "--from", context_name(gone))
    (config / "contexts" / "meta" / "broken").mkdir()
    (config / "contexts" / "meta" / "broken" / "meta.json").write_text("{")
    for one in (gone, moved):
        one.root.rmdir()
    assert ensure(home) is None
    shutil.rmtree(config / "contexts" / "meta" / "broken")
    left = {"default", "mine", "galley-cafecafe", *map(context_name, (moved, there, home))}
    assert set(docker("ls", "--format", "{{.Name}}").split()) == left
    assert docker("show") == context_name(home), "the context that was current is removed"


def test_the_default_home_keeps_its_context(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    default = home_at(default_root())
    assert not default.root.exists()
    ensure(default)
    ensure(home)
    assert docker("inspect", "-f", "{{.Name}}", "galley") == "galley"


def test_a_home_recreated_during_the_cleanup_keeps_its_context(
    home: Home, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreated = home_in(tmp_path / "back")
    ensure(recreated)
    recreated.root.rmdir()
    change = config_json.change

    def change_and_recreate(edit: Callable[[dict[str, Any]], None]) -> None:
        change(edit)
        if not recreated.root.exists():
            home_in(recreated.root)

    monkeypatch.setattr(config_json, "change", change_and_recreate)
    context.remove_orphans()
    assert docker("inspect", "-f", "{{.Name}}", context_name(recreated)) == context_name(recreated)
