"""Files that Galley writes on Windows: replaced whole, by one writer at a time, also during a read.

Windows does not replace a file that a program has open, so the writer waits until it is closed.
"""

import json
import subprocess
from pathlib import Path

from engine.settings.schema import schema
from engine.settings.setting import HostSize
from tests.windows.lane import Windows, windows_path

ADD = """
import sys
from engine.dockercli import config_json
for number in range(10):
    config_json.change(lambda config: config.setdefault("auths", {}).update(
        {f"{sys.argv[1]}-{number}.example.com": {}}
    ))
"""
HOLD = """
import sys
with open(sys.argv[1]) as held:
    print("open", flush=True)
    sys.stdin.read()
"""
WRITE = """
import pathlib, sys
from vm.errors import HomeUnusable
from vm.host.paths import write_atomic
print("writing", flush=True)
try:
    write_atomic(pathlib.Path(sys.argv[1]), b"new")
except HomeUnusable as error:
    print(error.summary)
"""
LOCK = """
import pathlib, sys
from vm.host.lock import FileLock
lock = FileLock(pathlib.Path(sys.argv[1]))
print(lock.acquire(timeout=float(sys.argv[2])), flush=True)
sys.stdin.read()
"""


def line(started: subprocess.Popen[bytes]) -> str:
    assert started.stdout is not None
    return started.stdout.readline().decode().strip()


def test_concurrent_changes_of_config_json_lose_nothing(windows: Windows, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{\n\t"zeta": 1,\n\t"hint": "→ ä",\n\t"alpha": {"kept": true}\n}\n')
    environment = {"DOCKER_CONFIG": windows_path(tmp_path)}
    python = windows.python_exe
    started = [windows.start(python, "-c", ADD, name, **environment) for name in "abc"]
    assert [one.communicate(timeout=60)[0] for one in started] == [b""] * 3
    assert [one.returncode for one in started] == [0] * 3
    found = json.loads(config.read_text())
    assert list(found) == ["zeta", "hint", "alpha", "auths"]
    assert (found["hint"], len(found["auths"])) == ("→ ä", 30)
    assert b"\r" not in config.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "galley-config.lock"}


def test_a_file_that_is_read_is_replaced_once_it_is_closed(
    windows: Windows, tmp_path: Path
) -> None:
    file = tmp_path / "a file"
    file.write_text("old")
    reader = windows.start(windows.python_exe, "-c", HOLD, windows_path(file))
    assert line(reader) == "open"
    writer = windows.start(windows.python_exe, "-c", WRITE, windows_path(file))
    assert line(writer) == "writing"
    assert file.read_text() == "old"
    reader.communicate(timeout=60)
    assert writer.communicate(timeout=60)[0] == b""
    assert file.read_text() == "new"


def test_a_file_that_stays_open_is_an_error(windows: Windows, tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.write_text("old")
    reader = windows.start(windows.python_exe, "-c", HOLD, windows_path(file))
    assert line(reader) == "open"
    output = windows.output_of(WRITE, windows_path(file))
    reader.communicate(timeout=60)
    assert "Galley cannot use " in output
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]
    assert file.read_text() == "old"


def test_a_lock_is_held_until_its_holder_has_ended(windows: Windows, tmp_path: Path) -> None:
    path = windows_path(tmp_path / "lock")
    holder = windows.start(windows.python_exe, "-c", LOCK, path, "0")
    assert line(holder) == "True"
    assert windows.python("-c", LOCK, path, "0").output.strip() == "False"
    holder.kill()
    holder.communicate(timeout=60)
    assert windows.python("-c", LOCK, path, "30").output.strip() == "True"


def test_settings_are_kept_with_their_comments(windows: Windows, tmp_path: Path) -> None:
    def settings(*words: str) -> str:
        home = windows_path(tmp_path / "a home")
        done = windows.python("-m", "engine.cli", "settings", *words, GALLEY_HOME=home)
        assert (done.code, done.errors) == (0, ""), done
        return done.output.strip()

    settings("set", "cpus", "1")
    file = tmp_path / "a home" / "settings.toml"
    file.write_text(file.read_text() + "# ours: → ä\n")
    settings("set", "memory", "2GiB")
    assert settings("get", "cpus") == "1"
    assert "# ours: → ä" in file.read_text()
    settings("unset", "cpus")
    assert "cpus" not in file.read_text()
    listed = {line.split()[0] for line in settings("list").splitlines() if line[:1].strip()}
    assert listed == {setting.name for setting in schema(HostSize(1, 1 << 30))}
