"""Gives every test its own GALLEY_HOME and DOCKER_CONFIG, so that none touches the user's.

Tests of the real machine (marked `vm`) are left alone: they share one, and set its home themselves.
"""

import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ordinary_user import OrdinaryUser

VM_PATIENCE = 900.0  # seconds; enough for an emulated machine on two busy cores to boot and stop
FUZZ_SECONDS = 30.0  # of each target in an ordinary run
FUZZ_SEED = 1  # of `./dev test`, so that a commit always gets the same inputs


def pytest_addoption(parser: pytest.Parser) -> None:
    fuzz = parser.getgroup("fuzz")
    fuzz.addoption("--fuzz-seconds", type=float, default=FUZZ_SECONDS, help="of each target")
    fuzz.addoption("--fuzz-seed", type=int, default=FUZZ_SEED, help="0: a new one")


def pytest_report_header(config: pytest.Config) -> str:
    seconds, seed = config.getoption("fuzz_seconds"), config.getoption("fuzz_seed")
    return f"fuzzers: {seconds:g} s each, --fuzz-seed={seed}"


def pytest_configure(config: pytest.Config) -> None:
    """Restores SIGINT, which a background job of a shell ignores, and its children too."""
    config.option.fuzz_seed = config.option.fuzz_seed or secrets.randbelow(1 << 32)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("vm") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(VM_PATIENCE))


@pytest.fixture(autouse=True)
def own_home(request: pytest.FixtureRequest) -> Iterator[None]:
    """GALLEY_HOME, DOCKER_CONFIG and the desktop's settings in a fresh directory, short enough for
    socket paths."""
    if request.node.get_closest_marker("vm"):
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="galley-") as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("GALLEY_HOME", str(Path(folder, "home")))
        environment.setenv("DOCKER_CONFIG", str(Path(folder, "docker")))
        environment.setenv("XDG_CONFIG_HOME", str(Path(folder, "config")))
        environment.setenv("XDG_STATE_HOME", str(Path(folder, "state")))
        environment.setenv("GSETTINGS_BACKEND", "keyfile")  # stored in XDG_CONFIG_HOME
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
            environment.delenv(name, raising=False)
        yield


@pytest.fixture
def more_files() -> Iterator[None]:
    """Opens more files than select(2) supports; the code under test must still work."""
    import resource  # not on Windows, where some tests run too

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 4096), limits[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for file in held:
        os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[OrdinaryUser]:
    with tempfile.TemporaryDirectory(prefix="gu") as folder:
        Path(folder).chmod(0o755)
        yield OrdinaryUser(Path(folder), monkeypatch)
