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
states = [getattr(autostart, step)(home) for step in sys.argv[2:]]
problems = [state.problem.summary for state in states if state and state.problem]
print(json.dumps({
    "name": autostart.login(home).name,
    "standings": [state.standing for state in states if state],
    "problems": problems,
}))
"""
ENABLE = """
import json, sys
from engine.autostart import entry, windows
windows.enable(entry.Login("ours", (sys.executable, *json.load(sys.stdin))))
"""
WRITE_ARGUMENTS = """
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
    """The standings that the steps report, and their problems."""
    report = json.loads(windows.output_of(STEPS, HOME, *names))
    return report["standings"], report["problems"]


def value(windows: Windows, key: str = RUN) -> str | None:
    """Of Galley's only entry, as `reg` shows it."""
    output = windows.run("reg", "query", key).output
    found = re.findall(r"^ +(galley-\w+) +REG_\w+ +(.*?)\r?$", output, re.MULTILINE)
    assert len(found) <= 1
    return found[0][1] if found else None


def name(windows: Windows) -> str:
    return str(json.loads(windows.output_of(STEPS, HOME))["name"])


def test_enable_writes_a_value_and_disable_removes_it(windows: Windows) -> None:
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


def test_the_setting_is_stored_as_the_value(windows: Windows) -> None:
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


def test_task_manager_disables_it_and_the_setting_enables_it_again(windows: Windows) -> None:
    steps(windows, "enable")
    off = ("/v", name(windows), "/t", "REG_BINARY", "/d", "030000000000000000000000", "/f")
    assert windows.run("reg", "add", APPROVED, *off).code == 0
    standings, problems = steps(windows, "state")
    assert standings == ["elsewhere"]
    assert problems == ["The desktop's own settings keep Galley from starting at login."]
    assert steps(windows, "enable", "state") == (["enabled"], [])
    assert value(windows, APPROVED) is None


def test_a_value_of_another_galley_is_reported(windows: Windows) -> None:
    other = ("/v", name(windows), "/t", "REG_SZ", "/d", r"C:\old\galley.exe desktop", "/f")
    assert windows.run("reg", "add", RUN, *other).code == 0
    standings, problems = steps(windows, "state")
    assert standings == ["elsewhere"]
    assert r"C:\old\galley.exe desktop" in problems[0]
    assert steps(windows, "enable", "state") == (["enabled"], [])


def test_a_command_that_is_too_long_is_refused(windows: Windows) -> None:
    output = windows.output_of(TOO_LONG)
    assert output.startswith("The command that is to start at login has ")
    assert value(windows) is None


def test_a_login_starts_the_command_with_unchanged_arguments(windows: Windows) -> None:
    words = ["two words", 'a "quoted" one', "ends in \\", 'a \\" b', "ä→", ""]
    with tempfile.TemporaryDirectory(prefix="a b ") as folder:  # a short path, because of the limit
        program, written = Path(folder, "p.py"), Path(folder, "p.py.json")
        program.write_text(WRITE_ARGUMENTS)
        done = windows.python("-c", ENABLE, given=json.dumps([windows_path(program), *words]))
        assert (done.code, done.errors) == (0, "")
        windows.log_in()
        deadline = time.monotonic() + 30
        while not (written.exists() and written.read_text()):
            assert time.monotonic() < deadline, "nothing was started"
            threading.Event().wait(0.05)
        assert json.loads(written.read_text()) == words
