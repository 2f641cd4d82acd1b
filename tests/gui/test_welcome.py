"""The welcome page: the first start of the engine, the first container, and failures."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from desktop.actions import engine, settings
from desktop.app import App
from desktop.pages.welcome import WelcomePage
from desktop.session.engine_state import is_first_run
from desktop.widgets.problem_card import ProblemCard
from desktop.widgets.toasts import Toast
from tests.gui.conftest import end_own_app
from vm.backends.fake_machine import FakeScript
from vm.types import MachineState

type WaitFor = Callable[..., None]


def script(app: App, **behaviour: object) -> None:
    """Set how the fake machine behaves from its next start on."""
    path = Path(app.link.home.machine, "fake.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(msgspec.convert(behaviour, FakeScript)))


@pytest.fixture
def page(own_app: App, wait_for: WaitFor) -> WelcomePage:
    wait_for(lambda: own_app.window.current_key == "welcome")
    found = own_app.window.current
    assert isinstance(found, WelcomePage)
    return found


def click(button: QPushButton) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def cards(page: WelcomePage) -> list[ProblemCard]:
    return [card for card in page.findChildren(ProblemCard) if card.isVisible()]


def test_the_first_start_leads_to_a_first_container(
    own_app: App, page: WelcomePage, wait_for: WaitFor
) -> None:
    assert page.start.isVisible()
    assert not page.steps.isVisible()
    assert not page.first.isVisible()
    wait_for(lambda: "CPU" in page.extent.text())

    click(page.start)

    assert page.steps.isVisible()  # at once
    assert not page.start.isVisible()
    wait_for(lambda: page.first.isVisible() and page.command.isVisible())
    assert all(step.seconds is not None for step in page.timeline.boot)
    assert page.reason.text() == "The fake backend emulates nothing."
    assert "docker" in page.command.value.whole
    assert "run" in page.command.value.whole
    assert own_app.window.focusWidget() is page.run  # so that Space runs it
    click(page.run)
    assert [task.title for task in own_app.app_context.tasks.running] == ["Run nginx as first"]
    assert not is_first_run(own_app.link, own_app.connection, own_app.prefs)


def test_the_welcome_page_does_not_return_once_it_was_left(
    own_app: App, page: WelcomePage, qtbot: QtBot, wait_for: WaitFor
) -> None:
    own_app.window.go("containers")
    with qtbot.waitSignal(own_app.link.changed):  # there is still no engine
        settings.change(own_app.app_context, "port_address", "127.0.0.2", lambda _done: None)
    assert own_app.window.current_key == "containers"

    engine.start(own_app.app_context)

    wait_for(lambda: own_app.connection.is_up)
    assert own_app.window.current_key == "containers"


def test_a_failed_first_start_is_explained_and_can_be_retried(
    own_app: App, page: WelcomePage, wait_for: WaitFor
) -> None:
    script(own_app, die="sshd")
    click(page.start)
    wait_for(lambda: cards(page))
    [card] = cards(page)
    assert card.problem.summary == "The virtual machine ended while it was booting."
    assert not own_app.window.findChildren(Toast)
    click(card.more)
    assert card.details.isVisible()

    script(own_app)
    again = next(b for b in card.findChildren(QPushButton) if b.text() == "Try again")
    click(again)

    wait_for(lambda: page.first.isVisible())
    assert not cards(page)


def test_a_first_start_can_be_cancelled(own_app: App, page: WelcomePage, wait_for: WaitFor) -> None:
    script(own_app, stall="sshd")
    click(page.start)
    wait_for(lambda: page.timeline.boot)

    click(page.cancel)

    wait_for(lambda: page.start.isVisible())
    assert own_app.link.state is MachineState.STOPPED
    assert not cards(page)


def test_a_problem_that_stops_the_supervisor_can_be_fixed(
    qapp: QApplication, own_home: None, monkeypatch: pytest.MonkeyPatch, wait_for: WaitFor
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no QEMU, so that the background process gives up
    app = App(qapp)
    app.open()
    wait_for(lambda: app.window.current_key == "welcome")
    page = app.window.current
    assert isinstance(page, WelcomePage)
    [card] = cards(page)
    assert "was not found" in card.problem.summary
    assert not page.choice.isVisible()

    settings.change(
        app.app_context, "backend", "fake", lambda _done: None
    )  # as the settings page does

    wait_for(page.start.isVisible)
    assert not cards(page)
    end_own_app(qapp, app)
