"""What of Galley can be loaded on Windows: everything that is not named here, with its reason."""

import json

from engine import __version__
from tests.windows.lane import CHECKOUT, Windows

# Modules that are another system's, and why.
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
    """But those that do their work when they are loaded."""
    files = (path for part in ("vm", "engine") for path in (CHECKOUT / part).rglob("*.py"))
    files = (path for path in files if path.name != "__main__.py")
    named = (path.relative_to(CHECKOUT).with_suffix("").as_posix() for path in sorted(files))
    return [name.removesuffix("/__init__").replace("/", ".") for name in named]


def test_every_module_is_loaded_but_those_of_other_systems(windows: Windows) -> None:
    done = windows.python("-c", LOAD, given=json.dumps(modules()))
    assert (done.code, done.errors) == (0, "")
    failed = json.loads(done.output)
    assert set(failed) == set(ELSEWHERE), failed


def test_the_command_line_says_who_it_is(windows: Windows) -> None:
    done = windows.python("-m", "engine.cli", "version", "--json")
    assert (done.code, done.errors) == (0, "")
    told = json.loads(done.output)
    assert told["galley"] == __version__
    assert told["python"].startswith("3.")
    assert told["system"].startswith("Windows ")
