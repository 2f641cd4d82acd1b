"""Charts: their scales, the sample under the mouse, and updates only while they are visible."""

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.context import AppContext
from desktop.i18n.text import size
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.containers.page import ContainersPage
from desktop.pages.containers.stats.tab import StatsTab
from desktop.widgets.chart.chart import LEFT, RIGHT, Chart, Series
from desktop.widgets.chart.scale import bytes_scale, cores_scale, decimal_scale, whole_scale
from engine.docker.client import DockerClient
from tests.gui.conftest import WaitFor
from tests.unit.engine.docker.conftest import sleeper


def is_updated(tab: StatsTab) -> bool:
    return tab.feed.is_on


@pytest.mark.parametrize(
    ("highest", "steps"),
    [
        (1.0, (0.0, 0.5, 1.0)),
        (3.7, (0.0, 1.0, 2.0, 3.0, 4.0)),
        (0.03, (0.0, 0.01, 0.02, 0.03)),
        (85_000_000.0, (0.0, 5e7, 1e8)),
    ],
)
def test_steps_are_round_and_reach_the_highest_value(
    highest: float, steps: tuple[float, ...]
) -> None:
    scale = decimal_scale(highest)
    assert scale.steps == pytest.approx(steps)
    assert scale.top == scale.steps[-1] >= highest


def test_a_scale_has_a_minimum() -> None:
    assert bytes_scale(0.0).top == 12 << 10
    assert bytes_scale(848 << 10).steps == (0, 256 << 10, 512 << 10, 768 << 10, 1 << 20)
    assert cores_scale(0.001).top >= 0.05
    assert whole_scale(3).steps == (0, 1, 2, 3)
    assert all(step == int(step) for step in whole_scale(37).steps)


def test_the_mouse_finds_the_sample_under_it(app_context: AppContext, qtbot: QtBot) -> None:
    chart = Chart(app_context.theme, "Memory", [Series("Memory", "accent")], size)
    qtbot.addWidget(chart)
    chart.resize(120 + LEFT + RIGHT, 180)  # a pixel a second
    for number in range(100):
        chart.add(1000.0 + number, number)
    right = LEFT + 120
    assert chart.sample_at(right) == 99
    assert chart.sample_at(right - 50) == 49
    assert chart.sample_at(right - 110) is None  # before the first
    assert chart.sample_at(5) is None  # beside the chart
    chart.show()
    chart.grab()
    assert chart.accessibleDescription() == "Memory 99 B"


def test_the_tab_is_updated_while_it_is_visible_and_keeps_its_samples(
    app_context: AppContext, client: DockerClient, qtbot: QtBot, wait_for: WaitFor
) -> None:
    key = client.containers.run(sleeper("stats", memory=64 << 20))
    wait_for(lambda: key in app_context.stores.containers.rows and app_context.stores.info)
    tab = StatsTab(app_context, key)
    qtbot.addWidget(tab)
    assert not is_updated(tab)
    tab.show()
    wait_for(lambda: len(tab.memory.times) >= 2)
    assert (tab.memory.limit, tab.processes.values[-1]) == (64 << 20, (2,))
    tab.hide()
    assert not is_updated(tab)
    seen = len(tab.memory.times)
    tab.show()
    wait_for(lambda: len(tab.memory.times) > seen)
    tab.leave()
    assert not is_updated(tab)


def test_the_tab_of_a_stopped_container_has_a_note_until_the_start(
    app_context: AppContext,
    client: DockerClient,
    qtbot: QtBot,
    wait_for: WaitFor,
    qapp: QApplication,
) -> None:
    key = client.containers.create(sleeper("stats-cold"))
    wait_for(lambda: key in app_context.stores.containers.rows)
    tab = StatsTab(app_context, key)
    qtbot.addWidget(tab)
    tab.show()
    assert "not running" in tab.note.text()
    client.containers.start(key)
    wait_for(lambda: tab.feed.is_on)
    assert not tab.note.isVisible()
    tab.leave()


def test_the_time_axis_grows_with_the_samples(app_context: AppContext, qtbot: QtBot) -> None:
    chart = Chart(app_context.theme, "Memory", [Series("Memory", "accent")], size)
    qtbot.addWidget(chart)
    spans = []
    for second in range(0, 400, 25):
        chart.add(1000.0 + second, second)
        spans.append(chart.span)
    assert spans[:3] == [30, 30, 60]
    assert spans[-1] == 300


def test_the_tab_begins_with_the_history_of_the_list(
    app: App, client: DockerClient, qtbot: QtBot, wait_for: WaitFor
) -> None:
    app_context = app.app_context
    key = client.containers.run(sleeper("seen"))
    wait_for(lambda: len(app_context.usage.history(key)) >= 3)
    app.window.go("containers", key, "stats")
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    assert isinstance(page.opened, ContainerDetailView)
    tab = page.opened.opened["stats"]
    assert isinstance(tab, StatsTab)
    history = app_context.usage.history(key)
    wait_for(lambda: tab.memory.times)
    count = len(history) - 1
    assert list(tab.memory.times)[:count] == [sample.time for sample in history[1:]]
    assert tab.cpu.values[count - 1] == pytest.approx((history[-1].cpu,))
    wait_for(lambda: len(tab.memory.times) > count + 1)
    assert sorted(tab.memory.times) == list(tab.memory.times)
    page.back()
