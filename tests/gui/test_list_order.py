"""Order of the list of containers, and headings of groups under a filter."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from desktop.app import App
from desktop.i18n.text import natural
from desktop.models.rows import Heading, ListLine
from desktop.pages.containers.page import ContainersPage
from desktop.widgets.confirm import Confirm
from engine.docker.client import DockerClient
from tests.gui.test_containers_page import names, sleeper
from tests.unit.engine.bridge.servers import IMAGE

type WaitFor = Callable[..., None]
ENDS_WELL = "trap 'exit 0' TERM; sleep 1000 & wait"


@pytest.fixture
def page(app: App) -> ContainersPage:
    found = app.window.pages["containers"]
    assert isinstance(found, ContainersPage)
    return found


def click_title(page: ContainersPage, title: str) -> None:
    header = page.table.header()
    place = [column.title for column in page.model.columns].index(title)
    x = header.sectionViewportPosition(place) + header.sectionSize(place) // 2
    QTest.mouseClick(
        header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, header.height() // 2)
    )


def titles(page: ContainersPage) -> list[str]:
    count = page.model.columnCount()
    return [page.model.headerData(n, Qt.Orientation.Horizontal) for n in range(count)]


def create(client: DockerClient, project: str, service: str, command: str = "sleep 1000") -> str:
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": service}
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", command], "Labels": labels}
    return client.containers.create_raw(body, f"{project}-{service}-1")


def group(page: ContainersPage, project: str) -> tuple[ListLine, Heading]:
    line = page.model.lines[page.model.place(f"project:{project}")]
    assert line.heading is not None
    return line, line.heading


def test_groups_are_sorted_by_name_and_numbers_by_value(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    create(client, "shop", "api")
    for name in ("w10", "w2", "w1", "broken"):
        client.containers.create(sleeper(name))
    wait_for(lambda: len(page.model.lines) == 6)
    click_title(page, "Name")
    assert names(page.table) == ["broken", "shop", "api", "w1", "w2", "w10"]
    assert titles(page)[0] == "Name ↑"
    click_title(page, "Name")
    assert names(page.table) == ["w10", "w2", "w1", "shop", "api", "broken"]
    assert titles(page)[0] == "Name ↓"
    click_title(page, "Name")
    assert names(page.table) == ["broken", "w1", "w2", "w10", "shop", "api"], "newest first"
    assert titles(page)[0] == "Name"
    click_title(page, "CPU")
    assert titles(page)[4] == "CPU ↓", "the largest first"
    click_title(page, "CPU")
    assert titles(page)[4] == "CPU ↑"


def test_digits_of_any_length_and_script_have_an_order() -> None:
    texts = ["w²", "w10", "w٣", "W2", "w", "w0002", "w" + "9" * 5000, "10", "a1b2", "a1b10", ""]
    assert min(texts, key=natural) == ""
    assert natural("w2") < natural("w10") < natural("w" + "9" * 5000)
    assert natural("a1b2") < natural("a1b10")


def test_sorting_scrolls_to_the_top(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    app.window.resize(1280, 520)
    for number in range(16):
        client.containers.create(sleeper(f"c{number}"))
    wait_for(lambda: len(page.model.lines) == 16)
    page.table.scrollToBottom()
    assert page.table.verticalScrollBar().value() > 0
    click_title(page, "Name")
    assert page.table.verticalScrollBar().value() == 0


def test_under_a_filter_a_group_shows_how_many_rows_match(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    for service in ("api", "db", "web"):
        client.containers.start(create(client, "shop", service))
    wait_for(lambda: page.model.place("project:shop") == 0)
    wait_for(lambda: all(row.state.is_up for row in group(page, "shop")[1].rows))
    page.model.toggle("project:shop")
    page.filter.setText("web")
    line, heading = group(page, "shop")
    assert (len(heading.rows), heading.whole, heading.is_partial) == (1, 3, True)
    assert not page.model.is_folded(line.key), "matches are unfolded"
    assert names(page.table) == ["shop", "web"]
    assert page.styler.buttons(line)[0].label == "Stop: 1 of 3"
    menu = QMenu()
    page.fill_menu(menu, [line])
    labels = [action.text() for action in menu.actions()]
    assert labels[0] == "shop: 1 of 3"
    assert "Rename…" not in labels, "not an action of a group"
    page.filter.clear()
    line, heading = group(page, "shop")
    assert not heading.is_partial
    assert page.styler.buttons(line)[0].label == "Stop"


def test_a_project_with_a_failed_service_is_shown_in_red(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.containers.start(create(client, "blog", "web", ENDS_WELL))
    client.containers.start(create(client, "blog", "db", "exit 3"))
    state = page.model.columns[2]
    wait_for(lambda: page.model.place("project:blog") >= 0)
    wait_for(lambda: page.model.text(group(page, "blog")[0], state) == "1 running, 1 failed")
    assert page.styler.style(group(page, "blog")[0]).dot == "error"
    wait_for(lambda: has_red(page, "project:blog"))


def test_deleting_a_stopped_project_in_the_menu_needs_a_confirmation(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    for service in ("web", "db"):
        create(client, "blog", service)
    wait_for(lambda: page.model.place("project:blog") >= 0)
    line, heading = group(page, "blog")
    assert page.model.text(line, page.model.columns[2]) == "stopped"
    assert page.styler.style(line).dot == ""
    assert [one.name for one in page.styler.buttons(line)] == ["start", "more"]
    menu = QMenu()
    page.fill_menu(menu, [line])
    next(action for action in menu.actions() if action.text() == "Delete…").trigger()
    confirm = page.app.window.widget.findChild(Confirm)
    assert confirm is not None
    assert len(client.containers.list()) == len(heading.rows) == 2
    confirm.reject()


def has_red(page: ContainersPage, key: str) -> bool:
    """Whether the row's state is drawn in the error colour."""
    table = page.table
    rect = table.visualRect(page.model.index(page.model.place(key), 2))
    image = table.viewport().grab(rect).toImage()
    places = [(x, y) for x in range(image.width()) for y in range(image.height())]
    return page.app.theme.color("error") in [image.pixelColor(x, y) for x, y in places]


def shown_columns(page: ContainersPage) -> list[str]:
    columns = page.model.columns[:-1]
    return [one.title for n, one in enumerate(columns) if not page.table.isColumnHidden(n)]


def test_the_image_column_stretches_and_lesser_columns_are_hidden_first(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.containers.create(sleeper("one"))
    wait_for(lambda: len(page.model.lines) == 1)
    header = page.table.header()
    app.window.resize(1280, 520)
    wide = header.sectionSize(1)
    app.window.resize(1680, 520)
    assert header.sectionSize(1) > wide + 150
    everything = ["Name", "Image", "State", "Ports", "CPU", "Memory", "Age"]
    assert (shown_columns(page), header.sectionSize(4)) == (everything, 144)
    app.window.resize(1110, 520)
    assert (shown_columns(page), header.sectionSize(4)) == (everything, 76), "no little chart"
    app.window.resize(1040, 520)
    assert shown_columns(page) == everything[:-1]
    app.window.resize(860, 520)
    assert shown_columns(page) == ["Name", "Image", "State", "Ports"]
    assert header.length() <= page.table.viewport().width()
    app.window.resize(1280, 520)
    assert (shown_columns(page), header.sectionSize(4)) == (everything, 144)


def test_health_is_shown_as_docker_reports_it(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    """The health check tests for a file, which the test creates and removes."""
    check = {"Test": ["CMD-SHELL", "test -e /tmp/well"], "Interval": 1_000_000_000, "Retries": 1}
    check["StartPeriod"] = 3600 * 1_000_000_000
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", ENDS_WELL], "Healthcheck": check}
    key = client.containers.create_raw(body, "checked")
    client.containers.start(key)

    def has_state(word: str, dot: str) -> bool:
        place = page.model.place(key)
        if place < 0:
            return False
        line = page.model.lines[place]
        state = page.model.text(line, page.model.columns[2])
        return (state, page.styler.style(line).dot) == (word, dot)

    wait_for(lambda: has_state("starting", "paused"))
    client.containers.run_in(key, ("touch", "/tmp/well"))
    wait_for(lambda: has_state("healthy", "running"))
    client.containers.run_in(key, ("rm", "/tmp/well"))
    wait_for(lambda: has_state("unhealthy", "error"))
