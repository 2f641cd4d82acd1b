"""`galley settings` without a supervisor: only the file changes."""

import json
import subprocess
from pathlib import Path

from tests.unit.engine.cli.conftest import ROOT, Galley, command
from vm.host.paths import Home


def test_set_get_unset(galley: Galley, home: Home) -> None:
    assert galley("settings", "set", "memory", "2GiB").returncode == 0
    assert galley("settings", "get", "memory").stdout == "2GiB\n"
    assert 'memory = "2GiB"' in home.settings.read_text()
    assert galley("settings", "unset", "memory").returncode == 0
    shown = json.loads(galley("settings", "get", "memory", "--json").stdout)
    assert not shown["is_set"]


def test_list(galley: Galley) -> None:
    shown = json.loads(galley("settings", "list", "--json").stdout)
    entry = next(one for one in shown if one["setting"]["name"] == "backend")
    assert entry["value"] == "fake"
    assert {"label", "help", "needs_restart"} <= set(entry["setting"])
    assert "memory" in galley("settings", "list").stdout


def test_an_invalid_setting_is_refused(galley: Galley, home: Home) -> None:
    before = home.settings.read_text()
    done = galley("settings", "set", "cpus", "0")
    assert done.returncode == 2
    assert "cpus cannot be '0'" in done.stderr
    assert galley("settings", "get", "nothing").returncode == 2
    assert home.settings.read_text() == before


def test_json_contains_the_code_of_an_error(galley: Galley) -> None:
    done = galley("settings", "get", "nothing", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    problem = json.loads(done.stderr.splitlines()[-1])
    assert problem["code"] == "settings.unknown"
    assert problem["values"]["name"] == "nothing"
    assert "nothing" in problem["summary"]


def test_a_secret_value_is_read_from_standard_input(home: Home) -> None:
    words = command("settings", "set", "port_address", "-")
    done = subprocess.run(words, input="127.0.0.2\n", cwd=ROOT, text=True, timeout=50)
    assert done.returncode == 0
    assert 'port_address = "127.0.0.2"' in home.settings.read_text()


def test_details_show_more(galley: Galley) -> None:
    done = galley("settings", "set", "cpus", "many", "--details")
    assert "│" in done.stderr
    assert "Add --details" not in done.stderr


# daemon.json


def test_daemon_json_is_shown_and_an_invalid_one_is_refused(galley: Galley, home: Home) -> None:
    assert galley("settings", "daemon").stdout == "{}\n"
    wanted = home.root / "wanted.json"
    wanted.write_text('{\n  "debug" true\n}\n')
    done = galley("settings", "daemon", "--file", str(wanted))
    assert done.returncode == 2
    assert "Line 2, column 11: expecting ':' delimiter." in done.stderr
    assert galley("settings", "daemon", "--edit", "--show").returncode == 2
    assert not home.daemon_config.exists()


def test_daemon_json_is_kept_for_the_next_start(
    galley: Galley, home: Home, quit_afterwards: None, tmp_path: Path
) -> None:
    wanted = tmp_path / "wanted.json"
    wanted.write_text('{"debug": true}\n')
    done = galley("settings", "daemon", "--file", str(wanted))
    assert done.returncode == 0, done.stderr
    assert galley("settings", "daemon", "--show").stdout == '{"debug": true}\n'
    assert "Nothing was changed" in galley("settings", "daemon", "--file", str(wanted)).stderr


def test_daemon_json_in_an_editor(
    galley: Galley, home: Home, quit_afterwards: None, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text("""#!/bin/sh\necho '{"labels": ["a=1"]}' > "$1"\n""")
    editor.chmod(0o755)
    done = galley("settings", "daemon", "--edit", EDITOR=str(editor), VISUAL=str(editor))
    assert done.returncode == 0, done.stderr
    assert home.daemon_config.read_text() == '{"labels": ["a=1"]}\n'
