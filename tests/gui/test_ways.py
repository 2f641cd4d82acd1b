"""Navigation: to another engine, back to a list, out of a field or a file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from desktop.app import App
from desktop.pages import catalog
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.containers.files_tab import FilesTab
from desktop.pages.images.detail import ImageDetailView
from desktop.pages.list_page import ListPage
from desktop.widgets.sidebar import NavButton
from desktop.widgets.toasts import Toast
from engine.docker.client import DockerClient
from engine.dockercli.contexts import DockerContext
from engine.dockercli.endpoint import Endpoint
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
    stores = app.app_context.stores
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
    assert not shown, "a retry would go to the other engine"


def test_a_switch_of_engine_leaves_the_welcome_page(app: App, elsewhere: DockerContext) -> None:
    app.window.go("welcome")
    app.connection.use(elsewhere)
    assert app.window.current_key == "containers"


# Back to the list


@pytest.fixture
def many(app: App, client: DockerClient, wait_for: WaitFor) -> Iterator[ListPage]:
    """The page of volumes with more than a screenful, scrolled to some that are selected."""
    names = [f"v-{number:02}" for number in range(40)]
    for name in names:
        client.volumes.create(name)
    app.window.go("volumes")
    page = list_page(app, "volumes")
    wait_for(lambda: len(page.model.lines) == len(names))
    page.table.choose(page.model.lines[25].key)
    QTest.keyClick(page.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    bar = page.table.verticalScrollBar()
    bar.setValue(bar.value() + 40)
    yield page
    for name in names:
        client.volumes.remove(name)


def by_key(app: App) -> None:
    QTest.keyClick(app.window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)


def by_sidebar(app: App) -> None:
    (entry,) = [one for one in app.window.findChildren(NavButton) if "Volumes" in one.text()]
    QTest.mouseClick(entry, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("way", [by_key, by_sidebar])
def test_the_page_of_an_open_detail_leads_back_to_its_list(
    app: App, many: ListPage, way: Callable[[App], None]
) -> None:
    scroll = many.table.verticalScrollBar()
    before = scroll.value(), [line.key for line in many.table.selected_lines()]
    assert before[0] > 0
    assert len(before[1]) == 2
    QTest.keyClick(many.table, Qt.Key.Key_Return)
    opened = many.opened
    assert opened is not None
    way(app)
    assert many.opened is None
    QApplication.processEvents()
    assert (scroll.value(), [line.key for line in many.table.selected_lines()]) == before
    assert many.table.hasFocus()


# Esc


def escape(app: App) -> None:
    QTest.keyClick(QApplication.focusWidget() or app.window, Qt.Key.Key_Escape)


def test_escape_clears_the_filter_of_a_list_and_then_leaves_it(
    app: App, objects: dict[str, str]
) -> None:
    page = list_page(app, "containers")
    QTest.keyClick(app.window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(page.filter, "web")
    escape(app)
    assert not page.filter.text()
    assert page.filter.hasFocus()
    escape(app)
    assert page.table.hasFocus()
    page.filter.setText("web")
    escape(app)
    assert not page.filter.text(), "also while the list has the focus"


def test_escape_closes_field_and_file_and_detail_one_by_one(
    app: App, objects: dict[str, str], wait_for: WaitFor
) -> None:
    page = list_page(app, "containers")
    page.open(objects["containers"], "files")
    view = page.opened
    assert isinstance(view, ContainerDetailView)
    tab = view.opened["files"]
    assert isinstance(tab, FilesTab)
    browser = tab.browser
    wait_for(lambda: browser.all)
    browser.open_folder("/etc", "hosts")
    wait_for(lambda: browser.folder == "/etc")
    QTest.keyClicks(browser.filter, "hosts")
    browser.table.setCurrentIndex(browser.model.index(0, 0))
    browser.table.setFocus()
    QTest.keyClick(browser.table, Qt.Key.Key_Return)
    wait_for(lambda: browser.file == "/etc/hosts")
    browser.path_bar.edit()
    escape(app)
    assert browser.text.hasFocus(), "the path field is closed"
    escape(app)
    assert not browser.file
    assert browser.table.hasFocus()
    assert browser.filter.text() == "hosts"
    escape(app)
    assert not browser.filter.text(), "the filter is cleared"
    assert page.opened is view
    escape(app)
    assert page.opened is None


@pytest.mark.parametrize("tab", ["logs", "inspect"])
def test_escape_ends_a_search_before_it_leaves_the_detail(
    app: App, objects: dict[str, str], tab: str
) -> None:
    page = list_page(app, "containers")
    page.open(objects["containers"], tab)
    view = page.opened
    assert isinstance(view, ContainerDetailView)
    QTest.keyClick(app.window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    field = QApplication.focusWidget()
    assert isinstance(field, QLineEdit)
    QTest.keyClicks(field, "web")
    view.tabs[tab].setFocus()
    escape(app)
    assert not field.text()
    assert page.opened is view
    escape(app)
    assert page.opened is None


def test_escape_closes_the_files_of_a_layer_first(
    app: App, objects: dict[str, str], wait_for: WaitFor
) -> None:
    app.window.go("images", objects["images"])
    page = list_page(app, "images")
    view = page.opened
    assert isinstance(view, ImageDetailView)
    overview = view.overview
    assert overview is not None
    wait_for(lambda: overview.layers is not None)
    assert overview.layers is not None
    layer = next(one for one in overview.layers.buttons if one.isEnabled())
    QTest.mouseClick(layer, Qt.MouseButton.LeftButton)
    wait_for(lambda: overview.files.model.rowCount() > 0)
    overview.files.view.setFocus()
    escape(app)
    assert not overview.files.isVisible()
    assert layer.hasFocus()
    assert page.opened is view
    escape(app)
    assert page.opened is None
