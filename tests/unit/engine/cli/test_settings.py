"""`galley settings`, with no supervisor: the file alone."""

import json

from tests.unit.engine.cli.conftest import Galley
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


def test_what_cannot_be(galley: Galley, home: Home) -> None:
    before = home.settings.read_text()
    done = galley("settings", "set", "cpus", "0")
    assert done.returncode == 2
    assert "cpus cannot be '0'" in done.stderr
    assert galley("settings", "get", "nothing").returncode == 2
    assert home.settings.read_text() == before


def test_details_show_more(galley: Galley) -> None:
    done = galley("settings", "set", "cpus", "many", "--details")
    assert "│" in done.stderr
    assert "Add --details" not in done.stderr
