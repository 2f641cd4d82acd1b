"""Snapshots on the engine's page: made, gone back to after a question, deleted."""

from collections.abc import Callable

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton

from desktop.actions import engine
from desktop.app import App
from desktop.dialogs.snapshot import SnapshotDialog
from desktop.pages.engine.page import EnginePage
from desktop.pages.engine.snapshots import SnapshotsCard
from desktop.widgets.confirm import Confirm
from engine.types import EngineHealth, EngineStatus
from vm.directory import MachineDir
from vm.types import MachineSnapshot, MachineState, SnapshotStep, SnapshotWork, Status

type WaitFor = Callable[..., None]
LEFT = Qt.MouseButton.LeftButton


def shown(app: App) -> SnapshotsCard:
    app.window.go("engine")
    page = app.window.current
    assert isinstance(page, EnginePage)
    return page.snapshots


def buttons(card: SnapshotsCard) -> dict[str, QPushButton]:
    """Those of the rows, by what a reader says of them."""
    items = [card._grid.itemAt(number) for number in range(card._grid.count())]
    widgets = [item.widget() for item in items if item is not None]
    return {one.accessibleName(): one for one in widgets if isinstance(one, QPushButton)}


def named(card: SnapshotsCard, name: str) -> QPushButton:
    return buttons(card)[name]


def names(card: SnapshotsCard) -> list[str]:
    start = "Delete the snapshot "
    return [said.removeprefix(start) for said in buttons(card) if said.startswith(start)]


def answer(app: App, word: str) -> QPushButton:
    """What agrees to the question."""
    [question] = app.window.findChildren(Confirm)
    assert question.agree.text() == word
    return question.agree


def make(app: App, card: SnapshotsCard, name: str) -> SnapshotDialog:
    QTest.mouseClick(card.make, LEFT)
    [dialog] = app.window.findChildren(SnapshotDialog)
    QTest.keyClicks(dialog.name, name)
    QTest.mouseClick(dialog.agree, LEFT)
    return dialog


@pytest.fixture
def card(own_app: App, wait_for: WaitFor) -> SnapshotsCard:
    """Of an engine that runs."""
    found = shown(own_app)
    wait_for(lambda: found.make.toolTip() == "There is no data to save yet.")
    assert not found.make.isEnabled()
    engine.start(own_app.app_context)
    wait_for(lambda: own_app.link.state is MachineState.RUNNING)
    wait_for(found.make.isEnabled)
    return found


def test_there_and_back(own_app: App, card: SnapshotsCard, wait_for: WaitFor) -> None:
    disk = MachineDir.of(own_app.link.home).data_disk
    disk.write_text("first")
    make(own_app, card, "one")
    wait_for(lambda: names(card) == ["one"])
    wait_for(lambda: not own_app.window.findChildren(SnapshotDialog))
    disk.write_text("second")

    QTest.mouseClick(named(card, "Restore the snapshot one"), LEFT)
    assert disk.read_text() == "second", "it asks first"
    QTest.mouseClick(answer(own_app, "Restore"), LEFT)
    wait_for(lambda: disk.read_text() == "first")
    wait_for(lambda: own_app.link.state is MachineState.RUNNING)

    wait_for(named(card, "Delete the snapshot one").isEnabled)
    QTest.mouseClick(named(card, "Delete the snapshot one"), LEFT)
    QTest.mouseClick(answer(own_app, "Delete"), LEFT)
    wait_for(lambda: names(card) == [])


def test_where_memory_cannot_be_kept_the_dialog_says_why(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    QTest.mouseClick(card.make, LEFT)
    [dialog] = own_app.window.findChildren(SnapshotDialog)
    assert not dialog.memory.isEnabled()
    assert not dialog.memory.isChecked()
    assert dialog.about_memory.text() == "Machines cannot be suspended on this computer."
    QTest.keyClicks(dialog.name, "one")
    QTest.mouseClick(dialog.agree, LEFT)
    wait_for(lambda: names(card) == ["one"])


def dialog_of(app: App, machine: Status) -> SnapshotDialog:
    """Over a machine of which only the status is there, which can be suspended."""
    app.link.status = EngineStatus("1", "", machine, EngineHealth(True))
    return SnapshotDialog(app.app_context, app.window)


def test_with_memory_where_that_can_be(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    """What is asked of this backend, it refuses; so it was asked."""
    dialog = dialog_of(own_app, Status(MachineState.RUNNING, "qemu"))
    assert dialog.memory.isEnabled()
    assert not dialog.memory.isChecked()
    assert "paused while the memory is copied" in dialog.about_memory.text()
    dialog.open()
    QTest.keyClicks(dialog.name, "one")
    dialog.memory.click()
    QTest.mouseClick(dialog.agree, LEFT)
    wait_for(dialog.problem.isVisible)
    assert "cannot be suspended" in dialog.problem.text()
    assert "without memory" in dialog.problem.text()
    dialog.reject()


def test_of_a_machine_that_is_suspended_memory_is_kept_in_any_case(own_app: App) -> None:
    dialog = dialog_of(own_app, Status(MachineState.STOPPED, "qemu", resumable=True))
    assert dialog.memory.isChecked()
    assert not dialog.memory.isEnabled()
    assert "includes its memory" in dialog.about_memory.text()
    dialog.deleteLater()


@pytest.mark.parametrize("cold", [True, False])
def test_back_to_one_with_memory_and_without(
    own_app: App, monkeypatch: pytest.MonkeyPatch, cold: bool
) -> None:
    kept = MachineSnapshot("one", 1.0, 1 << 30, 1 << 20, True, "", "", "", memory_bytes=1 << 20)
    plain = msgspec.structs.replace(kept, name="two", memory_bytes=0)
    status = Status(MachineState.RUNNING, "qemu")
    card = shown(own_app)
    card.show_engine(EngineStatus("1", "", status, EngineHealth(True), (), (), (kept, plain)))
    assert [one.text() for one in card.findChildren(QLabel)].count("with memory") == 1
    asked: list[object] = []
    monkeypatch.setattr(own_app.link, "call", lambda *given: asked.append(given[1:3]))
    QTest.mouseClick(named(card, "Restore the snapshot one"), LEFT)
    [question] = own_app.window.findChildren(Confirm)
    assert question.choice.isVisible()
    if cold:
        question.choice.click()
    QTest.mouseClick(question.agree, LEFT)
    assert asked == [("snapshots.restore", {"name": "one", "cold": cold})]


def test_one_without_memory_asks_for_nothing_more(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    make(own_app, card, "one")
    wait_for(lambda: names(card) == ["one"])
    wait_for(named(card, "Restore the snapshot one").isEnabled)
    QTest.mouseClick(named(card, "Restore the snapshot one"), LEFT)
    [question] = own_app.window.findChildren(Confirm)
    assert not question.choice.isVisible()
    question.reject()


def test_a_name_that_cannot_be_is_refused_in_the_dialog(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    dialog = make(own_app, card, "a/b")
    wait_for(dialog.problem.isVisible)
    assert "cannot be named 'a/b'" in dialog.problem.text()
    assert dialog.name.text() == "a/b"
    dialog.reject()


def test_while_one_is_copied_it_says_how_far_and_nothing_else_can_be_done(own_app: App) -> None:
    kept = MachineSnapshot("one", 1.0, 1 << 30, 1 << 20, True, "", "", "")
    status = Status(MachineState.RUNNING, "fake")
    work = SnapshotWork("two", "create", 25, 100)
    card = shown(own_app)
    aside = SnapshotWork("two", "create", step=SnapshotStep.SUSPEND)
    card.show_engine(EngineStatus("1", "", status, EngineHealth(True), (), (), (kept,), aside))
    assert card.words.text() == "two: Suspending the machine…"
    card.show_engine(EngineStatus("1", "", status, EngineHealth(True), (), (), (kept,), work))
    assert card.words.text() == "Copying two… 25 %"
    for one in (card.make, named(card, "Restore the snapshot one")):
        assert not one.isEnabled()
        assert one.toolTip() == "A snapshot is being copied."
