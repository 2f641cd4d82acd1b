"""Every module of Galley can be imported on Windows, except those listed here with the reason."""

import json

from engine import __version__
from tests.windows.lane import CHECKOUT, Windows

# Modules for other systems, and the reason.
ELSEWHERE: dict[str, str] = {}
LOAD = """
import importlib, json, sys
failed = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except (ImportError, AttributeError, OSError) as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failed))
"""


def modules() -> list[str]:
    """Except `__main__`, which runs when it is imported."""
    files = (path for part in ("vm", "engine") for path in (CHECKOUT / part).rglob("*.py"))
    files = (path for path in files if path.name != "__main__.py")
    named = (path.relative_to(CHECKOUT).with_suffix("").as_posix() for path in sorted(files))
    return [name.removesuffix("/__init__").replace("/", ".") for name in named]


def test_every_module_except_those_of_other_systems_can_be_imported(windows: Windows) -> None:
    done = windows.python("-c", LOAD, given=json.dumps(modules()))
    assert (done.code, done.errors) == (0, "")
    failed = json.loads(done.output)
    assert set(failed) == set(ELSEWHERE), failed


def test_the_command_line_shows_the_versions(windows: Windows) -> None:
    done = windows.python("-m", "engine.cli", "version", "--json")
    assert (done.code, done.errors) == (0, "")
    versions = json.loads(done.output)
    assert versions["galley"] == __version__
    assert versions["python"].startswith("3.")
    assert versions["system"].startswith("Windows ")
