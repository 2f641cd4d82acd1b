"""Snapshots on the engine page: created, restored after a confirmation, deleted."""

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


def open_card(app: App) -> SnapshotsCard:
    app.window.go("engine")
    page = app.window.current
    assert isinstance(page, EnginePage)
    return page.snapshots


def buttons(card: SnapshotsCard) -> dict[str, QPushButton]:
    """Buttons of the rows by accessible name."""
    items = [card._grid.itemAt(number) for number in range(card._grid.count())]
    widgets = [item.widget() for item in items if item is not None]
    return {one.accessibleName(): one for one in widgets if isinstance(one, QPushButton)}


def button(card: SnapshotsCard, name: str) -> QPushButton:
    return buttons(card)[name]


def names(card: SnapshotsCard) -> list[str]:
    start = "Delete the snapshot "
    return [name.removeprefix(start) for name in buttons(card) if name.startswith(start)]


def answer(app: App, word: str) -> QPushButton:
    """The button that accepts the confirmation."""
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
    """The card of a running engine."""
    found = open_card(own_app)
    wait_for(lambda: found.make.toolTip() == "There is no data to save yet.")
    assert not found.make.isEnabled()
    engine.start(own_app.app_context)
    wait_for(lambda: own_app.link.state is MachineState.RUNNING)
    wait_for(found.make.isEnabled)
    return found


def test_a_snapshot_is_created_restored_and_deleted(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    disk = MachineDir.of(own_app.link.home).data_disk
    disk.write_text("first")
    make(own_app, card, "one")
    wait_for(lambda: names(card) == ["one"])
    wait_for(lambda: not own_app.window.findChildren(SnapshotDialog))
    disk.write_text("second")

    QTest.mouseClick(button(card, "Restore the snapshot one"), LEFT)
    assert disk.read_text() == "second", "nothing is restored before the confirmation"
    QTest.mouseClick(answer(own_app, "Restore"), LEFT)
    wait_for(lambda: disk.read_text() == "first")
    wait_for(lambda: own_app.link.state is MachineState.RUNNING)

    wait_for(button(card, "Delete the snapshot one").isEnabled)
    QTest.mouseClick(button(card, "Delete the snapshot one"), LEFT)
    QTest.mouseClick(answer(own_app, "Delete"), LEFT)
    wait_for(lambda: names(card) == [])


def test_the_dialog_explains_why_memory_cannot_be_included(
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
    """The dialog for a machine with this status, which can be suspended."""
    app.link.status = EngineStatus("1", "", machine, EngineHealth(True))
    return SnapshotDialog(app.app_context, app.window)


def test_memory_is_included_on_request(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    """The fake backend's refusal shows that memory was requested."""
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


def test_the_memory_of_a_suspended_machine_is_always_included(own_app: App) -> None:
    dialog = dialog_of(own_app, Status(MachineState.STOPPED, "qemu", resumable=True))
    assert dialog.memory.isChecked()
    assert not dialog.memory.isEnabled()
    assert "includes its memory" in dialog.about_memory.text()
    dialog.deleteLater()


@pytest.mark.parametrize("cold", [True, False])
def test_a_snapshot_with_memory_can_be_restored_without_it(
    own_app: App, monkeypatch: pytest.MonkeyPatch, cold: bool
) -> None:
    kept = MachineSnapshot("one", 1.0, 1 << 30, 1 << 20, True, "", "", "", memory_bytes=1 << 20)
    plain = msgspec.structs.replace(kept, name="two", memory_bytes=0)
    status = Status(MachineState.RUNNING, "qemu")
    card = open_card(own_app)
    card.show_engine(EngineStatus("1", "", status, EngineHealth(True), (), (), (kept, plain)))
    assert [one.text() for one in card.findChildren(QLabel)].count("with memory") == 1
    calls: list[object] = []
    monkeypatch.setattr(own_app.link, "call", lambda *given: calls.append(given[1:3]))
    QTest.mouseClick(button(card, "Restore the snapshot one"), LEFT)
    [question] = own_app.window.findChildren(Confirm)
    assert question.choice.isVisible()
    if cold:
        question.choice.click()
    QTest.mouseClick(question.agree, LEFT)
    assert calls == [("snapshots.restore", {"name": "one", "cold": cold})]


def test_a_snapshot_without_memory_is_restored_without_a_choice(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    make(own_app, card, "one")
    wait_for(lambda: names(card) == ["one"])
    wait_for(button(card, "Restore the snapshot one").isEnabled)
    QTest.mouseClick(button(card, "Restore the snapshot one"), LEFT)
    [question] = own_app.window.findChildren(Confirm)
    assert not question.choice.isVisible()
    question.reject()


def test_an_invalid_name_is_refused_in_the_dialog(
    own_app: App, card: SnapshotsCard, wait_for: WaitFor
) -> None:
    dialog = make(own_app, card, "a/b")
    wait_for(dialog.problem.isVisible)
    assert "cannot be named 'a/b'" in dialog.problem.text()
    assert dialog.name.text() == "a/b"
    dialog.reject()


def test_a_copy_shows_its_progress_and_disables_other_actions(own_app: App) -> None:
    kept = MachineSnapshot("one", 1.0, 1 << 30, 1 << 20, True, "", "", "")
    status = Status(MachineState.RUNNING, "fake")
    work = SnapshotWork("two", "create", 25, 100)
    card = open_card(own_app)
    suspending = SnapshotWork("two", "create", step=SnapshotStep.SUSPEND)
    card.show_engine(EngineStatus("1", "", status, EngineHealth(True), (), (), (kept,), suspending))
    assert card.words.text() == "two: Suspending the machine…"
    card.show_engine(EngineStatus("1", "", status, EngineHealth(True), (), (), (kept,), work))
    assert card.words.text() == "Copying two… 25 %"
    for one in (card.make, button(card, "Restore the snapshot one")):
        assert not one.isEnabled()
        assert one.toolTip() == "A snapshot is being copied."
