"""`galley settings` and `galley diagnose` for start at login."""

from engine import autostart
from engine.autostart import Standing, linux
from tests.unit.engine.cli.conftest import Galley
from vm.host.paths import Home


def test_settings_set_disables_start_at_login(galley: Galley, home: Home) -> None:
    for word in ("yes", "no"):
        done = galley("settings", "set", "start_at_login", word)
        assert done.returncode == 0, done.stderr
    assert done.stdout == "start_at_login is false now.\n"
    assert autostart.state(home).standing is Standing.DISABLED


def test_settings_set_enables_start_at_login(galley: Galley, home: Home) -> None:
    done = galley("settings", "set", "start_at_login", "yes")
    assert (done.returncode, done.stdout) == (0, "start_at_login is true now.\n"), done.stderr
    assert autostart.state(home).standing is Standing.ENABLED
    assert galley("settings", "get", "start_at_login").stdout == "true\n"
    entry = linux.path(autostart.login(home))
    entry.write_text(entry.read_text().replace("Exec=", "Exec=/opt"))
    assert galley("settings", "get", "start_at_login").stdout == "false\n"
    assert "What starts at login is not this Galley: /opt" in galley("diagnose").stdout
