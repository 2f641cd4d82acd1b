"""One running VM for the whole session, and fresh homes for tests that break things."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import accept, link_image
from tests.e2e.galley import Galley
from vm.host import net


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the image that `./dev test` has built."""
    return link_image(tmp_path_factory.mktemp("i") / "images")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Galley]:
    """A VM that runs all through the session, with the test image in it."""
    galley = Galley(tmp_path_factory.mktemp("g") / "home", images)
    galley.take_one_cpu()
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


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the home and the folder of each `used`: a suspended machine resumes only there."""
    return tmp_path_factory.mktemp("u")


@pytest.fixture(scope="session")
def kept(place: Path, images: Path) -> Iterator[Path]:
    """The home of a Galley that was started once, with the test image, and then quit."""
    (place / "shared").mkdir()
    galley = Galley(place / "home", images)
    galley.take_one_cpu()
    galley.run("settings", "set", "shares", str(place / "shared"))
    galley.start()
    galley.load_image()
    galley.run("quit")
    (galley.home.root / "images").unlink()
    files = galley.home.root.rename(place / "kept")
    yield files
    shutil.rmtree(files)


@pytest.fixture
def shared(place: Path) -> Iterator[Path]:
    """A folder of this computer that `used` shares. It stays the same one, for the machine's
    sake, and is emptied."""
    folder = place / "shared"
    yield folder
    for file in folder.iterdir():
        file.unlink()


@pytest.fixture
def used(kept: Path, shared: Path, images: Path) -> Iterator[Galley]:
    """A suspended Galley: it starts in a fifth of the time of a `fresh` one."""
    galley = Galley(shared.with_name("home"), images)
    subprocess.run(["cp", "--archive", "--reflink=auto", f"{kept}/.", galley.home.root], check=True)
    accept(galley.machine)
    yield galley
    galley.remove()


@pytest.fixture
def port(galley: Galley) -> int:
    return net.free_port()


@pytest.fixture
def no_containers(galley: Galley) -> Iterator[None]:
    """Removes every container of the session's VM after the test."""
    yield
    names = galley.docker("ps", "-aq").stdout.decode().split()
    if names:
        galley.docker("rm", "-f", *names)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vm)
