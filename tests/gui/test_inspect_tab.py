"""The JSON tree: jq paths, search and copying."""

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from desktop.context import AppContext
from desktop.models.json_tree import JsonModel, jq_path, matches
from desktop.pages.containers.inspect_tab import InspectTab
from engine.docker.client import DockerClient
from tests.gui.conftest import WaitFor
from tests.unit.engine.docker.conftest import sleeper


@pytest.fixture
def tab(
    app_context: AppContext, client: DockerClient, qtbot: QtBot, wait_for: WaitFor
) -> Iterator[InspectTab]:
    key = client.containers.run(sleeper("inspect", env=("COLOR=teal",)))
    wait_for(lambda: key in app_context.stores.containers.rows)
    made = InspectTab(app_context, key)
    qtbot.addWidget(made)
    made.show()
    wait_for(lambda: made.model.rowCount())
    yield made
    made.leave()


def test_paths_have_the_syntax_of_jq() -> None:
    assert jq_path(["HostConfig", "PortBindings", "80/tcp", 0, "HostPort"]) == (
        '.HostConfig.PortBindings."80/tcp"[0].HostPort'
    )
    assert jq_path([]) == "."
    assert jq_path([0, "a"]) == ".[0].a"


def test_children_are_created_on_demand(app_context: AppContext) -> None:
    model = JsonModel(app_context.theme, app_context.tasks)
    model.fill({"a": {"b": [1, 2]}, "c": None})
    assert model.rowCount() == 2
    top = model.index(0, 0)
    assert model.hasChildren(top)
    assert model.node(top).children is None
    assert model.index_of(("a", "b", 1)).siblingAtColumn(1).data() == "2"
    assert not model.hasChildren(model.index(1, 0))
    assert model.parent(model.index_of(("a", "b"))) == top


def test_matches_are_found_in_keys_and_values() -> None:
    value = {"Name": "web", "Args": ["run", {"web": 1}]}
    assert list(matches(value, "web")) == [("Name",), ("Args", 1, "web")]


def test_search_selects_a_match_whose_path_and_value_can_be_copied(tab: InspectTab) -> None:
    tab.field.setText("teal")
    assert tab.count.text() == "1 of 1"
    tab.copy_path()
    path = QGuiApplication.clipboard().text()
    assert path.startswith(".Config.Env[")
    tab.copy_value()
    assert QGuiApplication.clipboard().text() == "COLOR=teal"
    tab.copy_all()
    assert '"COLOR=teal"' in QGuiApplication.clipboard().text()
    tab.field.setText("not to be found anywhere")
    assert tab.count.text() == "nothing found"


def test_search_in_the_text_marks_matches_and_steps_through_them(tab: InspectTab) -> None:
    tab.as_text.click()
    tab.field.setText("COLOR=teal")
    assert len(tab.text.extraSelections()) == 1
    tab.step(1)
    assert tab.text.textCursor().selectedText() == "COLOR=teal"


def test_the_tree_follows_the_container_and_stays_unfolded(
    tab: InspectTab, client: DockerClient, wait_for: WaitFor
) -> None:
    tab.tree.expand(tab.model.index_of(("HostConfig",)))
    client.containers.stop(tab.key)
    status = ("State", "Status")
    wait_for(lambda: tab.model.index_of(status).siblingAtColumn(1).data() == "exited")
    assert tab.tree.isExpanded(tab.model.index_of(("HostConfig",)))
