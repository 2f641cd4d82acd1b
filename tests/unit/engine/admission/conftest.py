"""A real dockerd that manages a swarm, as a reference for decoded requests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from tests.native import NativeDocker


@pytest.fixture(scope="session")
def manager() -> Iterator[Path]:
    """The socket of a dockerd that manages a swarm. Requires root."""
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    server = NativeDocker(folder / "manager")
    server.start()
    server.docker("swarm", "init", "--advertise-addr=10.0.2.15")
    yield server.socket
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def no_files_of_hypothesis() -> Iterator[None]:
    """Hypothesis writes to a temporary folder instead of the checkout."""
    with tempfile.TemporaryDirectory(prefix="galley-") as folder:
        set_hypothesis_home_dir(folder)
        yield
