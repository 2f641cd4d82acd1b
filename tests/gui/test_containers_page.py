"""The list of containers: its rows, its buttons and keys, and that it is up to date."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QLabel, QPushButton

from desktop.actions import containers as actions
from desktop.app import App
from desktop.pages.containers.page import ContainersPage
from desktop.widgets.confirm import Confirm
from desktop.widgets.list.table import Table
from desktop.widgets.toasts import Toast
from engine.docker.client import DockerClient
from engine.docker.types import Container, ContainerState, Port, RunSpec
from tests.unit.engine.bridge.servers import IMAGE

type WaitFor = Callable[..., None]
ENDS_AT_ONCE = ("sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")


def sleeper(name: str) -> RunSpec:
    return RunSpec(IMAGE, name, ENDS_AT_ONCE, network="none")


@pytest.fixture
def page(app: App) -> ContainersPage:
    found = app.window.pages["containers"]
    assert isinstance(found, ContainersPage)
    return found


def names(table: Table) -> list[str]:
    return [table.rows.text(line, table.rows.columns[0]) for line in table.rows.lines]


def row(page: ContainersPage, name: str) -> Container | None:
    rows = page.app.stores.containers.rows.values()
    return next((one for one in rows if one.name == name), None)


def press(page: ContainersPage, name: str, button: int) -> None:
    """Click a button at the end of a row, as the mouse does."""
    found = row(page, name)
    assert found is not None
    table = page.table
    last = len(table.rows.columns) - 1
    rect = table.visualRect(table.rows.index(table.rows.place(found.id), last))
    count = 3
    pos = QPoint(rect.right() - 32 * count - 8 + 32 * button + 16, rect.center().y())
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=pos)


def test_the_list_follows_containers_of_other_clients(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    QAbstractItemModelTester(page.model, QAbstractItemModelTester.FailureReportingMode.Fatal, app)
    made = client.containers.run(sleeper("seen"))
    wait_for(lambda: "seen" in names(page.table))
    client.containers.stop(made)
    wait_for(lambda: (found := row(page, "seen")) and found.state is ContainerState.EXITED)
    client.containers.remove(made)
    wait_for(lambda: "seen" not in names(page.table))


def test_buttons_stop_and_start_a_container(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    made = client.containers.run(sleeper("switched"))
    wait_for(lambda: row(page, "switched"))
    press(page, "switched", 0)
    assert made in page.app.stores.containers.busy, "the row shows the stop at once"
    wait_for(lambda: (found := row(page, "switched")) and not found.state.is_up)
    wait_for(lambda: made not in page.app.stores.containers.busy)
    press(page, "switched", 0)
    wait_for(lambda: (found := row(page, "switched")) and found.state.is_up)


def test_delete_needs_a_confirmation_that_names_the_container(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    made = client.containers.run(sleeper("lost"))
    wait_for(lambda: row(page, "lost"))
    page.table.choose(made)
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    confirm = page.app.window.widget.findChild(Confirm)
    assert confirm is not None
    assert "lost" in confirm.windowTitle()
    assert row(page, "lost"), "nothing is deleted before the confirmation"
    QTest.mouseClick(confirm.agree, Qt.MouseButton.LeftButton)
    wait_for(lambda: not row(page, "lost"))


def test_the_confirmation_names_all_containers_to_delete(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.containers.run(sleeper("going"))
    client.containers.create(sleeper("idle"))
    wait_for(lambda: row(page, "going") and row(page, "idle"))
    page.table.selectAll()
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    confirm = page.app.window.widget.findChild(Confirm)
    assert confirm is not None
    assert confirm.windowTitle() == "Delete 2 containers?"
    assert sorted(confirm.names.toPlainText().split()) == ["going", "idle"]
    text = " ".join(one.text() for one in confirm.findChildren(QLabel))
    assert "Running, and killed first: going." in text
    confirm.reject()


def test_a_refused_start_names_the_container_and_the_holder_of_its_port(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    ports = (Port(80, "tcp", "", 18083),)
    client.containers.run(RunSpec(IMAGE, "first", ENDS_AT_ONCE, ports=ports))
    client.containers.create(RunSpec(IMAGE, "second", ENDS_AT_ONCE, ports=ports))
    wait_for(lambda: row(page, "second"))
    press(page, "second", 0)
    wait_for(lambda: app.window.findChildren(Toast))
    toast = app.window.findChildren(Toast)[0]
    assert toast.about == "Start second"
    assert toast.title == "Port 18083 is already published by the container first."
    assert "Stop that container" in toast.text


def test_a_run_reports_the_generated_name(app: App, wait_for: WaitFor) -> None:
    spec = RunSpec(IMAGE, "", ENDS_AT_ONCE, network="none")
    actions.run(app.app_context, spec)
    wait_for(lambda: app.window.findChildren(Toast))
    toast = app.window.findChildren(Toast)[0]
    (made,) = app.app_context.connection.client.containers.list()
    assert toast.title == f"{made.name} is running"


def test_rows_are_filtered_and_grouped(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    for service in ("web", "db"):
        body = {
            "Image": IMAGE,
            "Cmd": ["sleep", "1000"],
            "Labels": {
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": service,
            },
        }
        client.containers.start(client.containers.create_raw(body, f"shop-{service}-1"))
    client.containers.create(sleeper("alone"))
    wait_for(lambda: {"shop", "web", "db", "alone"} <= set(names(page.table)))
    page.filter.setText("web")
    assert names(page.table) == ["shop", "web"]
    page.filter.setText("nothing like it")
    assert page.stack.currentWidget() is page.nothing
    page.filter.clear()
    assert {"shop", "web", "db", "alone"} <= set(names(page.table))
    page.model.toggle("project:shop")
    assert set(names(page.table)) == {"shop", "alone"}


def test_the_selection_survives_a_new_row(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    kept = client.containers.run(sleeper("kept"))
    wait_for(lambda: row(page, "kept"))
    page.table.choose(kept)
    client.containers.run(sleeper("other"))
    wait_for(lambda: row(page, "other"))
    chosen = page.table.current_line()
    assert chosen is not None
    assert chosen.key == kept


def test_a_container_that_fails_at_once_is_reported_with_a_link_to_its_log(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    spec = RunSpec(IMAGE, "short", ("sh", "-c", "echo no config; exit 3"), network="none")
    client.containers.create(spec)
    wait_for(lambda: row(page, "short"))
    press(page, "short", 0)
    wait_for(lambda: app.window.findChildren(Toast))
    toast = app.window.findChildren(Toast)[0]
    assert toast.title == "short ended at once with exit code 3."
    buttons = [one for one in toast.findChildren(QPushButton) if one.text() == "Show the log"]
    QTest.mouseClick(buttons[0], Qt.MouseButton.LeftButton)
    assert page.opened is not None


def test_a_project_with_an_arabic_name_is_shown_and_removed(
    page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    body = {"Image": IMAGE, "Cmd": ["true"], "Labels": {"com.docker.compose.project": "متجر"}}
    made = client.containers.create_raw(body, "arabic")
    wait_for(lambda: "متجر" in names(page.table))
    client.containers.remove(made)
    wait_for(lambda: "متجر" not in names(page.table))
