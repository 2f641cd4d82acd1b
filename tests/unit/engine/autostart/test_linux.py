"""The desktop's entry: GLib starts what it says, and what desktops do to it is seen."""

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
    """As another program would."""
    entry = linux.path(LOGIN)
    assert old in entry.read_text()
    entry.write_text(entry.read_text().replace(old, new))


def test_it_is_turned_on_and_off() -> None:
    assert linux.state(LOGIN).standing is Standing.DISABLED
    linux.disable(LOGIN)  # what is not there is no error
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


def test_a_desktop_starts_just_this_command(tmp_path: Path) -> None:
    # GLib looks for the program before it makes one % of two.
    program, told = tmp_path / ODD.replace("%", "") / "galley", tmp_path / "told"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {told}.new && mv {told}.new {told}\n')
    program.chmod(0o755)
    words = ("desktop", "--hidden", ODD, "", "%f", "ü")
    login = Login("galley", (str(program), *words))
    linux.enable(login)
    subprocess.run(["gio", "launch", linux.path(login)], check=True, timeout=30)
    wait_until(told.exists, 30)
    assert told.read_text().split("\0") == [*words, ""]
    assert linux.state(login).standing is Standing.ENABLED


@pytest.mark.parametrize(
    ("old", "new", "says"),
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
def test_what_is_in_the_way_is_said_and_taken_out_of_it(old: str, new: str, says: str) -> None:
    linux.enable(LOGIN)
    change(old, new)
    seen = linux.state(LOGIN)
    assert seen.standing is Standing.ELSEWHERE
    assert seen.problem is not None
    assert says in seen.problem.summary
    assert "settings set start_at_login true" in seen.problem.hint
    linux.enable(LOGIN)
    assert linux.state(LOGIN).standing is Standing.ENABLED


def test_what_others_add_to_it_is_not_in_the_way() -> None:
    linux.enable(LOGIN)
    change("[Desktop Entry]\n", "# mine\n\n[Desktop Entry]\nX-Xfce-RunHook = 0\nHidden = false\n")
    with linux.path(LOGIN).open("a") as file:
        file.write("\n[Desktop Action stop]\nExec=galley stop\nHidden=true\n")
    assert linux.state(LOGIN).standing is Standing.ENABLED


def test_where_nothing_can_be_written_it_says_so() -> None:
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


def test_a_relative_folder_of_settings_does_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("somewhere", ""):
        monkeypatch.setenv("XDG_CONFIG_HOME", given)
        assert linux.path(LOGIN) == tmp_path / ".config" / "autostart" / "galley.desktop"
