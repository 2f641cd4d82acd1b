"""The ways through the window: to another engine, back to a list, out of a field or a file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop.app import App
from desktop.pages import catalog
from desktop.pages.list_page import ListPage
from desktop.widgets.toasts import Toast
from engine.contexts import DockerContext
from engine.docker.client import DockerClient
from engine.docker.endpoint import Endpoint
from tests.gui.test_containers_page import sleeper
from vm.errors import Problem, Retry

type WaitFor = Callable[..., None]
LISTS = tuple(place.key for place in catalog.places() if catalog.needs_engine(place.key))


@pytest.fixture
def elsewhere(tmp_path: Path) -> DockerContext:
    """Another engine, which does not run."""
    return DockerContext("other", "Other", Endpoint("other", f"unix://{tmp_path}/none.sock"))


@pytest.fixture
def objects(app: App, client: DockerClient, wait_for: WaitFor) -> Iterator[dict[str, str]]:
    """A container, an image, a volume and a network of the engine, by their pages."""
    container = client.containers.run(sleeper("web"))
    client.volumes.create("data")
    stores = app.desk.stores
    wait_for(lambda: container in stores.containers.rows and "data" in stores.volumes.rows)
    yield {
        "containers": container,
        "images": next(iter(stores.images.rows)),
        "volumes": "data",
        "networks": next(iter(stores.networks.rows)),
    }
    client.containers.remove(container, force=True)
    client.volumes.remove("data")


def list_page(app: App, key: str) -> ListPage:
    page = app.window.pages[key]
    assert isinstance(page, ListPage)
    return page


def test_a_switch_of_engine_closes_every_detail_of_the_old_one(
    app: App, objects: dict[str, str], elsewhere: DockerContext
) -> None:
    for key, opened in objects.items():
        app.window.go(key, opened)
        assert list_page(app, key).opened is not None
    list_page(app, "volumes").filter.setText("data")
    app.window.go("images", objects["images"])
    again: list[bool] = []
    problem = Problem("EngineRefused", "It failed there.", retry=Retry.YES)
    app.window.complain(problem, lambda: again.append(True))
    app.connection.use(elsewhere)
    for key in LISTS:
        page = list_page(app, key)
        assert page.opened is None, key
        assert not page.filter.text()
    assert app.window.current_key == "images"
    shown = [toast for toast in app.window.findChildren(Toast) if toast.isVisible()]
    assert not shown, "what can be tried again would be tried on the other engine"


def test_a_switch_of_engine_leaves_the_welcome(app: App, elsewhere: DockerContext) -> None:
    app.window.go("welcome")
    app.connection.use(elsewhere)
    assert app.window.current_key == "containers"
