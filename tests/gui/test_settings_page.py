"""Settings: built from the schema, checked while they are typed, changed by the supervisor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton

from desktop.actions import engine
from desktop.app import App
from desktop.pages.settings.editors import (
    ChoiceEditor,
    FoldersEditor,
    LineEditor,
    NumberEditor,
    stops,
)
from desktop.pages.settings.fields import Field
from desktop.pages.settings.page import SettingsPage
from desktop.pages.settings.pending import pending
from desktop.session.tasks import TaskState
from engine.credentials import proxy_password
from engine.settings import share_paths
from engine.settings.schema import schema, topics
from engine.settings.setting import GIB, HostSize, Setting
from engine.settings.store import Entry, SettingsStore
from tests.longer_settings import use_longer_settings
from tests.unit.engine.secret_service import SecretService, unlocked
from vm.types import MachineState, Status

type WaitFor = Callable[..., None]
LEFT = Qt.MouseButton.LeftButton
KNOWN = {one.name: one for one in schema(HostSize(8, 16 * GIB))}


@pytest.fixture
def page(own_app: App, wait_for: WaitFor) -> SettingsPage:
    own_app.window.go("settings")
    found = own_app.window.current
    assert isinstance(found, SettingsPage)
    wait_for(lambda: found.fields)
    return found


def stored(app: App, name: str) -> object:
    return getattr(SettingsStore(app.link.home).current(), name)


def type_into(page: SettingsPage, name: str, text: str) -> LineEditor:
    made = page.fields[name].editor
    assert isinstance(made, LineEditor)
    made.line.setFocus()
    made.line.selectAll()
    QTest.keyClicks(made.line, text)
    return made


def test_every_setting_is_on_the_page(page: SettingsPage) -> None:
    assert set(page.fields) == set(KNOWN)
    for name, field in page.fields.items():
        assert field.editor.field.accessibleName() == KNOWN[name].label
        assert field.isVisibleTo(page)


def test_settings_are_grouped_by_topic(page: SettingsPage) -> None:
    names = {field: name for name, field in page.fields.items()}
    sections = [[names[row] for row in one.rows if isinstance(row, Field)] for one in page.sections]
    shown = [section for section in sections if section]
    assert shown == [[*names] for _topic, names in topics()]


def test_a_new_field_of_the_settings_is_on_the_page(
    own_app: App, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_longer_settings(monkeypatch)
    own_app.window.go("settings", "snack")
    page = own_app.window.current
    assert isinstance(page, SettingsPage)
    wait_for(lambda: page.fields)
    field = page.fields["snack"]
    assert isinstance(field.editor, ChoiceEditor)
    assert field.editor.box.currentText() == "nuts"
    (section,) = [one for one in page.sections if field in one.rows]
    assert section.rows[-2:] == [page.fields["share_by"], field]


def test_a_change_is_stored_and_can_be_reset(
    own_app: App, page: SettingsPage, wait_for: WaitFor
) -> None:
    field = page.fields["memory"]
    assert not field.reset.isVisible()

    edit = type_into(page, "memory", "1536MiB")
    QTest.keyClick(edit.line, Qt.Key.Key_Return)

    wait_for(field.reset.isVisible)
    assert stored(own_app, "memory") == 1536 * 1024**2
    QTest.mouseClick(field.reset, LEFT)
    wait_for(lambda: not field.reset.isVisible())
    assert edit.line.text() == field.entry.setting.text(field.entry.setting.default)


def test_an_invalid_value_is_reported_while_it_is_typed(own_app: App, page: SettingsPage) -> None:
    edit = type_into(page, "port_address", "127.0.0.300")

    assert page.fields["port_address"].wrong.isVisible()
    assert edit.line.property("wrong")
    QTest.keyClick(edit.line, Qt.Key.Key_Return)
    assert edit.line.text() == "127.0.0.300"
    assert not own_app.app_context.tasks.all  # no request was sent
    type_into(page, "port_address", "127.0.0.1")
    assert not page.fields["port_address"].wrong.isVisible()


def test_a_refusal_is_shown_beside_the_field(
    own_app: App, page: SettingsPage, wait_for: WaitFor
) -> None:
    own_app.link.home.settings.write_text("this is no toml")

    edit = type_into(page, "port_address", "127.0.0.2")
    QTest.keyClick(edit.line, Qt.Key.Key_Return)

    wait_for(page.fields["port_address"].wrong.isVisible)
    assert "cannot be read" in page.fields["port_address"].wrong.text()
    assert edit.line.text() == "127.0.0.2"
    [task] = own_app.app_context.tasks.all
    assert task.state is TaskState.FAILED
    assert task.problem is None  # the page shows it: no toast


def test_a_slider_sets_the_value_of_its_stop(
    own_app: App, page: SettingsPage, wait_for: WaitFor
) -> None:
    edit = page.fields["disk"].editor
    assert isinstance(edit, NumberEditor)
    edit.slider.setFocus()
    QTest.keyClick(edit.slider, Qt.Key.Key_Right)

    assert edit.line.text() != "64GiB"
    wait_for(page.fields["disk"].reset.isVisible)
    assert page.fields["disk"].entry.text == edit.line.text()
    assert stored(own_app, "disk") in edit.stops


def test_the_wheel_does_not_change_a_field_without_the_focus(page: SettingsPage) -> None:
    edit = page.fields["accelerator"].editor
    assert isinstance(edit, ChoiceEditor)
    page.filter.setFocus()
    pos = QPointF(edit.box.rect().center())
    turn = QWheelEvent(
        pos, edit.box.mapToGlobal(pos), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip

    QApplication.sendEvent(edit.box, turn)

    assert edit.box.currentText() == "auto"


def is_up(app: App) -> bool:
    """The start has ended; clients are served somewhat earlier."""
    status = app.link.status
    return status is not None and status.machine.state.is_up


def test_a_restart_is_offered_while_it_is_needed(
    own_app: App, page: SettingsPage, wait_for: WaitFor
) -> None:
    edit = type_into(page, "cpus", "1")
    QTest.keyClick(edit.line, Qt.Key.Key_Return)
    wait_for(page.fields["cpus"].reset.isVisible)
    assert not page.strip.isVisible()  # nothing runs
    engine.start(own_app.app_context)
    wait_for(lambda: is_up(own_app))

    page.fields["accelerator"].editor.given.emit("tcg")

    wait_for(page.strip.isVisible)
    assert "Accelerator" in page.restart_words.text()
    assert "CPUs" not in page.restart_words.text()
    QTest.mouseClick(page.restart, LEFT)
    assert not page.restart.isEnabled()
    wait_for(lambda: not page.strip.isVisible() and own_app.link.state is MachineState.RUNNING)


def test_search_shows_only_matching_settings(page: SettingsPage) -> None:
    page.focus_filter()
    QTest.keyClicks(page.filter, "memory limit")

    assert page.fields["memory"].isVisible()
    assert not page.fields["cpus"].isVisible()
    assert not page.fields["backend"].isVisible()
    page.filter.setText("no such thing")
    assert page.nothing.isVisible()
    page.filter.clear()
    assert page.fields["cpus"].isVisible()


def test_a_setting_is_found_by_name(own_app: App, wait_for: WaitFor) -> None:
    own_app.window.go("settings", "use_context")
    page = own_app.window.current
    assert isinstance(page, SettingsPage)

    wait_for(lambda: page.fields)
    field = page.fields["use_context"]
    assert own_app.window.focusWidget() is field.editor.field
    wait_for(lambda: not field.visibleRegion().isEmpty())
    assert "Memory" in [command.title for command in page.commands()]


def test_the_window_has_its_own_settings(own_app: App, page: SettingsPage) -> None:
    box = page.window_section.scheme
    box.setCurrentIndex(box.findData("dark"))
    box.activated.emit(box.currentIndex())

    assert own_app.app_context.theme.tokens.name == "dark"
    assert own_app.prefs.text("scheme") == "dark"
    own_app.app_context.theme.choose("light")
    assert box.currentData() == "light"


def test_stops_range_from_minimum_to_maximum() -> None:
    disk = stops(KNOWN["disk"])

    assert (disk[0], disk[-1]) == (KNOWN["disk"].minimum, KNOWN["disk"].maximum)
    assert list(disk) == sorted(set(disk))
    assert len(disk) < 200
    assert 64 * GIB in disk
    assert stops(KNOWN["cpus"]) == tuple(range(1, 9))
    assert stops(KNOWN["memory"]) == tuple(n * GIB for n in range(1, 17))


def entry(name: str, value: object) -> Entry:
    return Entry(KNOWN[name], KNOWN[name].parse(value), True)


def test_pending_settings_differ_from_the_running_machine() -> None:
    running = Status(MachineState.RUNNING, "qemu", cpus=4, memory_bytes=4 * GIB)
    entries = (entry("cpus", 2), entry("memory", "4GiB"), entry("channel", "latest"))

    assert names(pending(entries, {"channel": "latest"}, running)) == ["cpus"]
    assert names(pending(entries, {"channel": "stable"}, running)) == ["cpus", "channel"]
    assert pending(entries, {}, Status(MachineState.STOPPED, "qemu", cpus=4)) == ()
    assert pending(entries, {}, None) == ()


def test_another_backend_is_pending_also_for_a_stopped_machine() -> None:
    stopped = Status(MachineState.STOPPED, "qemu")

    assert names(pending((entry("backend", "fake"),), {}, stopped)) == ["backend"]
    assert pending((entry("backend", "auto"),), {}, stopped) == ()


def names(settings: tuple[Setting, ...]) -> list[str]:
    return [setting.name for setting in settings]


def test_folders_are_added_and_removed(
    own_app: App, page: SettingsPage, wait_for: WaitFor, tmp_path: Path
) -> None:
    field = page.fields["shares"]
    edit = field.editor
    assert isinstance(edit, FoldersEditor)

    QTest.mouseClick(edit.add, LEFT)
    dialog = edit.findChild(QFileDialog)
    assert dialog is not None
    dialog.fileSelected.emit(str(tmp_path))
    dialog.close()
    wait_for(field.reset.isVisible)
    assert stored(own_app, "shares") == (*share_paths.default(), str(tmp_path))

    def remove(name: str) -> None:
        def found() -> list[QPushButton]:
            buttons = edit.findChildren(QPushButton)
            return [one for one in buttons if one.isVisible() and name in one.accessibleName()]

        wait_for(found)
        QTest.mouseClick(found()[0], LEFT)

    remove("~")
    remove(str(tmp_path))  # without waiting for the first
    wait_for(lambda: stored(own_app, "shares") == share_paths.default()[1:])
    QTest.mouseClick(field.reset, LEFT)
    wait_for(lambda: stored(own_app, "shares") == share_paths.default())


def test_a_folder_that_cannot_be_shared_is_refused_beside_the_list(
    own_app: App, page: SettingsPage, wait_for: WaitFor
) -> None:
    field = page.fields["read_only_shares"]
    assert isinstance(field.editor, FoldersEditor)
    field.editor.given.emit(("/usr",))
    wait_for(field.wrong.isVisible)
    assert "/usr" in field.wrong.text()
    assert stored(own_app, "read_only_shares") == ()


@pytest.fixture
def keyring() -> Iterator[SecretService]:
    with unlocked() as service:
        yield service


def test_the_password_of_a_proxy_moves_to_the_keyring(
    keyring: SecretService, own_app: App, page: SettingsPage, wait_for: WaitFor
) -> None:
    """It is removed from the field. A locked keyring is reported beside the field."""
    given, kept = "http://me:hidden@example.com:3128", "http://me@example.com:3128"
    edit = type_into(page, "http_proxy", given)
    QTest.keyClick(edit.line, Qt.Key.Key_Return)
    assert edit.line.text() == kept
    wait_for(page.fields["http_proxy"].reset.isVisible)
    assert stored(own_app, "http_proxy") == kept
    assert proxy_password.find(kept) == "hidden"
    keyring.lock()
    edit = type_into(page, "https_proxy", given)
    QTest.keyClick(edit.line, Qt.Key.Key_Return)
    wait_for(page.fields["https_proxy"].wrong.isVisible)
    assert page.fields["https_proxy"].wrong.text().startswith("The keyring is locked.")
    assert edit.line.text() == kept
