"""The autostart entry: GLib runs its command, and changes by desktops are detected."""

import os
import subprocess
from pathlib import Path

import pytest

from engine.autostart import linux
from engine.autostart.entry import Login, Standing
from tests.unit.engine.bridge.servers import wait_until
from vm.errors import HostError

LOGIN = Login("galley", ("/opt/galley/bin/galley", "desktop", "--hidden"))
ODD = "a b\"c'd$e`f\\g%h~i&j#k(l)m;n*o?p|q<r>s\tt\nu"


def change(old: str, new: str) -> None:
    """Edits the entry as another program would."""
    entry = linux.path(LOGIN)
    assert old in entry.read_text()
    entry.write_text(entry.read_text().replace(old, new))


def test_autostart_is_enabled_and_disabled() -> None:
    assert linux.state(LOGIN).standing is Standing.DISABLED
    linux.disable(LOGIN)  # a missing entry is no error
    linux.enable(LOGIN)
    assert linux.path(LOGIN) == Path(os.environ["XDG_CONFIG_HOME"], "autostart", "galley.desktop")
    assert linux.state(LOGIN).standing is Standing.ENABLED
    linux.disable(LOGIN)
    assert linux.state(LOGIN).standing is Standing.DISABLED
    assert not linux.path(LOGIN).exists()


@pytest.mark.parametrize("word", ["plain", ODD, ""])
def test_the_entry_is_valid(word: str) -> None:
    linux.enable(Login("galley", (*LOGIN.command, word)))
    done = subprocess.run(
        ["desktop-file-validate", linux.path(LOGIN)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_desktop_runs_exactly_this_command(tmp_path: Path) -> None:
    # GLib searches for the program before it replaces %% with %.
    program, args = tmp_path / ODD.replace("%", "") / "galley", tmp_path / "args"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {args}.new && mv {args}.new {args}\n')
    program.chmod(0o755)
    words = ("desktop", "--hidden", ODD, "", "%f", "ü")
    login = Login("galley", (str(program), *words))
    linux.enable(login)
    subprocess.run(["gio", "launch", linux.path(login)], check=True, timeout=30)
    wait_until(args.exists, 30)
    assert args.read_text().split("\0") == [*words, ""]
    assert linux.state(login).standing is Standing.ENABLED


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Terminal=false", "Hidden=true", "The desktop's own settings"),
        ("GNOME-Autostart-enabled=true", "GNOME-Autostart-enabled=false", "own settings"),
        ("X-GNOME-Autostart-enabled=true", "X-MATE-Autostart-enabled=false", "own settings"),
        ("Exec=/opt", "Exec=/usr", "not this Galley: /usr/galley/bin/galley desktop --hidden."),
        ("\nExec=", "\n#Exec=", "not this Galley: nothing."),
        ("[Desktop Entry]", "[Desktop Action x]", "not this Galley: nothing."),
        ("desktop --hidden", "desktop", "not this Galley"),
    ],
)
def test_a_disabled_or_foreign_entry_is_reported_and_replaced(
    old: str, new: str, expected: str
) -> None:
    linux.enable(LOGIN)
    change(old, new)
    seen = linux.state(LOGIN)
    assert seen.standing is Standing.ELSEWHERE
    assert seen.problem is not None
    assert expected in seen.problem.summary
    assert "settings set start_at_login true" in seen.problem.hint
    linux.enable(LOGIN)
    assert linux.state(LOGIN).standing is Standing.ENABLED


def test_additions_by_other_programs_are_ignored() -> None:
    linux.enable(LOGIN)
    change("[Desktop Entry]\n", "# mine\n\n[Desktop Entry]\nX-Xfce-RunHook = 0\nHidden = false\n")
    with linux.path(LOGIN).open("a") as file:
        file.write("\n[Desktop Action stop]\nExec=galley stop\nHidden=true\n")
    assert linux.state(LOGIN).standing is Standing.ENABLED


def test_an_unwritable_folder_is_reported() -> None:
    folder = linux.path(LOGIN).parent
    folder.parent.mkdir()
    folder.write_text("a file, not a folder")
    seen = linux.state(LOGIN)
    assert seen.standing is Standing.ELSEWHERE
    assert seen.problem is not None
    assert "cannot be read" in seen.problem.summary
    for attempt in (linux.enable, linux.disable):
        with pytest.raises(HostError, match=r"^Start at login cannot be changed: ") as caught:
            attempt(LOGIN)
        assert str(folder) in caught.value.hint
    assert folder.read_text() == "a file, not a folder"


def test_a_relative_xdg_config_home_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("somewhere", ""):
        monkeypatch.setenv("XDG_CONFIG_HOME", given)
        assert linux.path(LOGIN) == tmp_path / ".config" / "autostart" / "galley.desktop"
