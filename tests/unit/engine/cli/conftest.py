"""Runs the command line as a program, with the fake backend."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.settings.store import SettingsStore
from vm.host.paths import Home, find_home, make_home

ROOT = Path(__file__).parents[4]

type Galley = Callable[..., subprocess.CompletedProcess[str]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "engine.cli", *words]


@pytest.fixture
def home() -> Home:
    """A home with the fake backend."""
    home = make_home(find_home())
    SettingsStore(home).set("backend", "fake")
    return home


@pytest.fixture
def galley(home: Home) -> Galley:
    """Runs `galley WORDS` to its end."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words), env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=50,
        )  # fmt: skip

    return run


@pytest.fixture
def quit_afterwards(galley: Galley) -> Iterator[None]:
    """Ends the supervisor and the machine after the test."""
    yield
    done = galley("quit")
    assert done.returncode == 0, done.stderr
