"""Fixtures of the window: Qt without a screen, a real dockerd, and the whole application on it.

They need root, dockerd and busybox-static, as the Docker client's tests do; `./dev test` installs
them.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.context import AppContext
from desktop.pages.images.page import ImagesPage
from engine.client.launch import connect_only
from engine.docker.client import DockerClient
from engine.dockercli.contexts import DockerContext
from engine.dockercli.endpoint import Endpoint
from engine.settings.store import SettingsStore
from tests.gui.screen import Screen
from tests.unit.engine.bridge.servers import IMAGE, Dockerd
from tests.unit.engine.docker.conftest import NetworkedDockerd
from vm.host.paths import find_home, make_home
from vm.host.process import identify, wait_gone

type WaitFor = Callable[[Callable[[], object]], None]


class WindowDockerd(NetworkedDockerd):
    """Its network namespace is not the one of the client's tests, which may still exist."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._netns = f"galley-gui-{os.getpid()}"

    @property
    def namespace(self) -> str:
        return self._netns


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    assert os.getuid() == 0, "dockerd runs as root: run the tests as root"
    folder = Path(tempfile.mkdtemp(prefix="galley-"))  # short enough for a socket's path
    server = WindowDockerd(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def context(dockerd: Dockerd) -> DockerContext:
    return DockerContext("test", "Test", Endpoint("test", f"unix://{dockerd.socket}"))


@pytest.fixture
def client(context: DockerContext) -> Iterator[DockerClient]:
    """A second client of the engine. Afterwards the engine has no containers."""
    made = DockerClient(context.endpoint)
    yield made
    for container in made.containers.list():
        made.containers.remove(container.id, force=True, volumes=True)
    made.close()


@pytest.fixture
def wait_for(qtbot: QtBot) -> Callable[..., None]:
    """Run Qt's event loop until the condition is true; only a failure reaches the deadline."""

    def wait(condition: Callable[[], object], seconds: float = 15.0) -> None:
        qtbot.waitUntil(lambda: bool(condition()), timeout=round(1000 * seconds))

    return wait


@pytest.fixture
def app(
    qapp: QApplication, context: DockerContext, client: DockerClient, wait_for: WaitFor
) -> Iterator[App]:
    """The whole window on the test's dockerd, shown, its rows loaded; without a supervisor."""
    made = App(qapp, context)
    made.window.show()
    wait_for(lambda: all(store.is_loaded for store in made.app_context.stores.all))
    yield made
    end_app(qapp, made)


@pytest.fixture
def own_app(qapp: QApplication, own_home: None, wait_for: WaitFor) -> Iterator[App]:
    """The whole window on Galley's own engine: a supervisor with the fake backend."""
    home = make_home(find_home())
    SettingsStore(home).set("backend", "fake")
    made = App(qapp)
    made.open()
    wait_for(lambda: made.link.status is not None)
    yield made
    end_own_app(qapp, made)


def end_own_app(qapp: QApplication, app: App) -> None:
    """End the application, the machine and the supervisor."""
    end_app(qapp, app)
    client = connect_only(app.link.home)
    assert client is not None
    with client:
        supervisor = identify(client.hello.pid)
        client.call("stop")
        client.call("quit")
    assert supervisor is None or wait_gone(supervisor, 15.0)


@pytest.fixture
def app_context(app: App) -> AppContext:
    return app.app_context


def end_app(qapp: QApplication, app: App) -> None:
    """End the threads of the application and delete its widgets."""
    app.close()
    app.window.hide()
    app.window.deleteLater()
    app.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qapp.processEvents()


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A screen for a window in its own process, driven by real keys."""
    made = Screen()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def images_page(app: App, client: DockerClient, wait_for: WaitFor) -> Iterator[ImagesPage]:
    """Afterwards the engine has only the image that it had at first."""
    app.window.go("images")
    found = app.window.current
    assert isinstance(found, ImagesPage)
    yield found
    for container in client.containers.list():
        client.containers.remove(container.id, force=True)
    for image in client.images.list():
        for name in image.tags or (image.id,):
            if name != f"{IMAGE}:latest":
                client.images.remove(name, force=True)
