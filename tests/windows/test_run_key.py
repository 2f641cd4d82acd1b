"""Start at login on Windows: the value in the Run key, read by Windows' own `reg` as well."""

import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.windows.lane import Windows, windows_path

CURRENT = r"HKCU\Software\Microsoft\Windows\CurrentVersion"
RUN = rf"{CURRENT}\Run"
APPROVED = rf"{CURRENT}\Explorer\StartupApproved\Run"
HOME = r"C:\users\Ann Example\galley"
STEPS = """
import json, sys
from engine import autostart
from vm.host.paths import home_at
home = home_at(sys.argv[1])
said = [getattr(autostart, step)(home) for step in sys.argv[2:]]
problems = [state.problem.summary for state in said if state and state.problem]
print(json.dumps({
    "name": autostart.login(home).name,
    "standings": [state.standing for state in said if state],
    "problems": problems,
}))
"""
ENABLE = """
import json, sys
from engine.autostart import entry, windows
windows.enable(entry.Login("ours", (sys.executable, *json.load(sys.stdin))))
"""
WRITE_DOWN = """
import json, sys
with open(f"{sys.argv[0]}.json", "w") as file:
    file.write(json.dumps(sys.argv[1:]))
"""
TOO_LONG = """
import sys
from engine import autostart
from vm.errors import HostError
from vm.host.paths import home_at
try:
    autostart.enable(home_at("C:\\\\" + "x" * 240))
except HostError as error:
    print(error.summary)
"""


@pytest.fixture(autouse=True)
def empty(windows: Windows) -> Iterator[None]:
    yield
    for key in (RUN, APPROVED):
        windows.run("reg", "delete", key, "/va", "/f")


def steps(windows: Windows, *names: str) -> tuple[list[str], list[str]]:
    """What is said of it, and what stands in its way."""
    said = json.loads(windows.says(STEPS, HOME, *names))
    return said["standings"], said["problems"]


def value(windows: Windows, key: str = RUN) -> str | None:
    """Of our only entry, as `reg` shows it."""
    said = windows.run("reg", "query", key).output
    found = re.findall(r"^ +(galley-\w+) +REG_\w+ +(.*?)\r?$", said, re.MULTILINE)
    assert len(found) <= 1
    return found[0][1] if found else None


def name(windows: Windows) -> str:
    return str(json.loads(windows.says(STEPS, HOME))["name"])


def test_it_is_a_value_until_it_is_taken_out(windows: Windows) -> None:
    assert steps(windows, "state") == (["disabled"], [])
    assert value(windows) is None
    assert steps(windows, "enable", "state") == (["enabled"], [])
    python = windows_path(windows.python_exe.with_name("pythonw.exe"))
    line = f'"{python}" -P -m engine.cli desktop --hidden --home "{HOME}"'
    assert value(windows) == line
    assert steps(windows, "enable", "enable", "state") == (["enabled"], [])
    assert value(windows) == line
    assert steps(windows, "disable", "state", "disable", "state") == (["disabled"] * 2, [])
    assert value(windows) is None


def test_the_setting_is_the_value(windows: Windows) -> None:
    def settings(*words: str) -> str:
        done = windows.python("-m", "engine.cli", "settings", *words, GALLEY_HOME=HOME)
        assert (done.code, done.errors) == (0, "")
        return done.output.strip()

    assert settings("get", "start_at_login") == "false"
    settings("set", "start_at_login", "true")
    assert value(windows)
    assert settings("get", "start_at_login") == "true"
    settings("unset", "start_at_login")
    assert value(windows) is None


def test_task_manager_turns_it_off_and_the_setting_on(windows: Windows) -> None:
    steps(windows, "enable")
    off = ("/v", name(windows), "/t", "REG_BINARY", "/d", "030000000000000000000000", "/f")
    assert windows.run("reg", "add", APPROVED, *off).code == 0
    standings, problems = steps(windows, "state")
    assert standings == ["elsewhere"]
    assert problems == ["The desktop's own settings keep Galley from starting at login."]
    assert steps(windows, "enable", "state") == (["enabled"], [])
    assert value(windows, APPROVED) is None


def test_another_galley_s_value_is_told(windows: Windows) -> None:
    other = ("/v", name(windows), "/t", "REG_SZ", "/d", r"C:\old\galley.exe desktop", "/f")
    assert windows.run("reg", "add", RUN, *other).code == 0
    standings, problems = steps(windows, "state")
    assert standings == ["elsewhere"]
    assert r"C:\old\galley.exe desktop" in problems[0]
    assert steps(windows, "enable", "state") == (["enabled"], [])


def test_what_windows_would_not_start_is_refused(windows: Windows) -> None:
    said = windows.says(TOO_LONG)
    assert said.startswith("The command that is to start at login has ")
    assert value(windows) is None


def test_a_login_starts_it_with_every_word_as_it_was(windows: Windows) -> None:
    words = ["two words", 'a "quoted" one', "ends in \\", 'a \\" b', "ä→", ""]
    with tempfile.TemporaryDirectory(prefix="a b ") as folder:  # a short one: there is a limit
        program, written = Path(folder, "p.py"), Path(folder, "p.py.json")
        program.write_text(WRITE_DOWN)
        done = windows.python("-c", ENABLE, given=json.dumps([windows_path(program), *words]))
        assert (done.code, done.errors) == (0, "")
        windows.log_in()
        deadline = time.monotonic() + 30
        while not (written.exists() and written.read_text()):
            assert time.monotonic() < deadline, "nothing was started"
            threading.Event().wait(0.05)
        assert json.loads(written.read_text()) == words
