"""One running VM for the whole session, and fresh homes for tests that break things."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import guest_image
from tests.e2e.galley import Galley
from vm.host import net


@pytest.fixture(scope="session")
def images() -> Path:
    """The directory of images that `./dev test` has built."""
    return guest_image().parent


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Galley]:
    """A VM that runs all through the session, with the test image in it."""
    galley = Galley(tmp_path_factory.mktemp("g") / "home", images)
    galley.start()
    galley.load_image()
    yield galley
    galley.remove()


@pytest.fixture
def galley(running: Galley) -> Galley:
    """The session's VM, started again if the test before has left it stopped."""
    if running.status()["state"] != "running":
        running.start()
    return running


@pytest.fixture
def fresh(tmp_path: Path, images: Path) -> Iterator[Galley]:
    """A home in which nothing has been started yet."""
    galley = Galley(tmp_path / "h", images)
    yield galley
    galley.remove()


@pytest.fixture
def port(galley: Galley) -> int:
    return net.free_port()


@pytest.fixture
def no_containers(galley: Galley) -> Iterator[None]:
    """Whatever a test has run in the session's VM is gone after it."""
    yield
    names = galley.docker("ps", "-aq").stdout.decode().split()
    if names:
        galley.docker("rm", "-f", *names)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vm)
