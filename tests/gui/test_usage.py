"""CPU and memory in the list and the status bar, of all running containers, visible or not."""

import re
from collections.abc import Callable

import msgspec
import pytest

from desktop.app import App
from desktop.pages.containers.page import ContainersPage
from desktop.stores import readings, usage
from engine.docker.client import DockerClient
from engine.docker.types import RunSpec, StatsSample
from tests.gui.test_containers_page import names, sleeper
from tests.gui.test_list_order import click_title
from tests.unit.engine.bridge.servers import IMAGE

type WaitFor = Callable[..., None]
BUSY = "while :; do i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; sleep 0.1; done"
BELOW = 12  # rows above the busy one, more than the smallest window shows
CPU = re.compile(r"CPU ([\d.]+) %")


@pytest.fixture
def page(app: App) -> ContainersPage:
    found = app.window.pages["containers"]
    assert isinstance(found, ContainersPage)
    app.window.resize(1280, 520)
    return found


def run_busy_below_the_screen(page: ContainersPage, client: DockerClient, wait: WaitFor) -> str:
    """The list begins with the newest containers, so the busy one comes last."""
    hog = client.containers.run(RunSpec(IMAGE, "hog", ("sh", "-c", BUSY), network="none"))
    for number in range(BELOW):
        client.containers.run(sleeper(f"idle-{number}"))
    wait(lambda: len(page.model.lines) == BELOW + 1)
    wait(lambda: page.table.visible_lines())
    assert hog not in [line.key for line in page.table.visible_lines()]
    return hog


def cpu_in_the_bar(app: App) -> float:
    found = CPU.search(app.window.statusbar.totals.text())
    return float(found[1]) if found else -1.0


def test_the_status_bar_includes_containers_below_the_screen(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    run_busy_below_the_screen(page, client, wait_for)
    wait_for(lambda: cpu_in_the_bar(app) > 5)
    app.window.go("settings")
    idle = [row for row in app.app_context.stores.containers.rows.values() if row.name != "hog"]
    assert cpu_in_the_bar(app) > 5, "another page does not change the figure"
    hog = next(row for row in app.app_context.stores.containers.rows.values() if row.name == "hog")
    client.containers.remove(hog.id, force=True)
    wait_for(lambda: 0 <= cpu_in_the_bar(app) < 5)
    assert len(idle) == BELOW


def test_sorting_by_cpu_moves_the_busy_container_to_the_top(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    run_busy_below_the_screen(page, client, wait_for)
    click_title(page, "CPU")
    wait_for(lambda: names(page.table)[0] == "hog", 5)
    text = page.model.text(page.model.lines[0], page.model.columns[4])
    assert float(text.removesuffix(" %")) > 5
    app.window.go("settings")
    app.window.go("containers")
    assert page.model.text(page.model.lines[0], page.model.columns[4]) not in ("0.0 %", "–")
    assert names(page.table)[0] == "hog", "its figure and its position are kept"


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "STALE", 1.0)
    monkeypatch.setattr(usage, "STALE", 1.0)


@pytest.mark.usefixtures("short_memory")
def test_stale_figures_are_not_shown(
    app: App, page: ContainersPage, client: DockerClient, wait_for: WaitFor
) -> None:
    key = client.containers.run(sleeper("quiet"))
    wait_for(lambda: cpu_in_the_bar(app) >= 0)
    assert app.app_context.usage.memory(key)
    app.app_context.usage.attend(False)
    wait_for(lambda: cpu_in_the_bar(app) < 0)
    assert app.app_context.usage.cpu(key) is app.app_context.usage.memory(key) is None


def test_a_row_without_two_readings_has_no_figure_rather_than_zero() -> None:
    one = readings.Readings()
    assert one.take(reading(100.0, 7.0), 0.0, slowly=False)
    assert not one.samples
    one.take(reading(101.0, 7.5), 1.0, slowly=False)
    assert one.samples[-1].cpu == 0.5
    one.take(reading(102.0, 0.1), 2.0, slowly=False)
    assert one.samples[-1] is not one.last, "the counter was reset"
    assert one.is_known(3.0)
    assert not one.is_known(3.0 + readings.GRACE)


def test_readings_are_kept_for_the_span_of_the_charts() -> None:
    one = readings.Readings()
    for second in range(0, 600, 10):
        one.take(reading(float(second), second / 100), float(second), slowly=True)
    kept = [sample.time for sample in one.samples]
    assert kept[0] == 590 - readings.SPAN
    assert kept[-1] == 590


def reading(time: float, cpu_seconds: float) -> StatsSample:
    made = StatsSample(time=time, cpu=0.0, memory=1 << 20, memory_limit=1 << 30)
    return msgspec.structs.replace(made, cpu_seconds=cpu_seconds)
