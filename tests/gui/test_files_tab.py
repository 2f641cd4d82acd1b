"""Files of a container: browsing by keys, reading, upload, download and errors."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QModelIndex, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.context import AppContext
from desktop.models.files import NAME, mode_text
from desktop.pages.containers.files_tab import FilesTab
from desktop.widgets.confirm import Confirm
from engine.docker.client import DockerClient
from tests.gui.conftest import WaitFor
from tests.unit.engine.docker.conftest import sleeper

SETUP = """mkdir -p /srv/b/inner /srv/a; printf 'one\\ntwo\\n' > /srv/note.txt;
printf '\\000\\001' > /srv/data.bin; ln -s b /srv/link; chmod 640 /srv/note.txt"""


@pytest.fixture
def tab(
    app: App, client: DockerClient, app_context: AppContext, qtbot: QtBot, wait_for: WaitFor
) -> Iterator[FilesTab]:
    key = client.containers.run(sleeper("files"))
    client.containers.run_in(key, ("sh", "-c", SETUP))
    wait_for(lambda: key in app_context.stores.containers.rows)
    made = FilesTab(app_context, key)
    qtbot.addWidget(made)
    made.resize(900, 500)
    made.show()
    made.browser.open_folder("/srv")
    wait_for(lambda: made.browser.folder == "/srv")
    yield made
    made.leave()


def names(tab: FilesTab) -> list[str]:
    return [entry.name for entry in tab.browser.model.entries]


def at(tab: FilesTab, name: str) -> QModelIndex:
    return tab.browser.model.index(tab.browser.model.place(name), NAME)


def press(tab: FilesTab, key: Qt.Key) -> None:
    QTest.keyClick(tab.browser.table, key)


def choose(tab: FilesTab, name: str) -> None:
    tab.browser.table.setCurrentIndex(at(tab, name))


def test_folders_come_first_and_a_link_shows_its_target(tab: FilesTab) -> None:
    assert names(tab) == ["a", "b", "data.bin", "link", "note.txt"]
    assert at(tab, "link").data() == "link → b"
    entry = tab.browser.model.entry(at(tab, "note.txt"))
    assert entry is not None
    assert mode_text(entry) == "-rw-r-----"


def test_enter_opens_a_folder_and_backspace_returns_to_its_row(
    tab: FilesTab, wait_for: WaitFor
) -> None:
    choose(tab, "b")
    press(tab, Qt.Key.Key_Return)
    wait_for(lambda: tab.browser.folder == "/srv/b")
    assert names(tab) == ["inner"]
    press(tab, Qt.Key.Key_Backspace)
    wait_for(lambda: tab.browser.folder == "/srv")
    current = tab.browser.model.entry(tab.browser.table.currentIndex())
    assert current is not None
    assert current.name == "b"


def test_a_link_to_a_folder_opens_as_a_folder(tab: FilesTab, wait_for: WaitFor) -> None:
    choose(tab, "link")
    press(tab, Qt.Key.Key_Return)
    wait_for(lambda: tab.browser.folder == "/srv/link")
    assert names(tab) == ["inner"]


def test_a_text_file_is_opened_and_closed(tab: FilesTab, wait_for: WaitFor) -> None:
    choose(tab, "note.txt")
    press(tab, Qt.Key.Key_Return)
    wait_for(lambda: tab.browser.file == "/srv/note.txt")
    assert tab.browser.text.toPlainText() == "one\ntwo\n"
    assert tab.browser.text.isReadOnly()
    assert tab.download_button.isEnabled()
    QTest.keyClick(tab.browser.text, Qt.Key.Key_Backspace)
    assert tab.browser.stack.currentWidget() is tab.browser.table


def test_a_binary_file_is_reported_as_not_a_text(tab: FilesTab, wait_for: WaitFor) -> None:
    choose(tab, "data.bin")
    press(tab, Qt.Key.Key_Return)
    wait_for(lambda: tab.browser.file == "/srv/data.bin")
    assert "not a text" in tab.browser.note.text()


def test_a_typed_path_that_does_not_exist_is_reported_in_place(
    tab: FilesTab, wait_for: WaitFor
) -> None:
    bar = tab.browser.path_bar
    bar.edit()
    QTest.keyClicks(bar.field, "/nowhere")
    QTest.keyClick(bar.field, Qt.Key.Key_Return)
    wait_for(lambda: tab.browser.failure.isVisible())
    assert "/nowhere" in tab.browser.failure.summary.text()
    assert bar.path == "/nowhere"
    assert not tab.download_button.isEnabled()
    tab.browser.up()
    wait_for(lambda: tab.browser.folder == "/")
    assert "srv" in names(tab)


def test_an_upload_appears_and_a_download_arrives(
    tab: FilesTab, tmp_path: Path, wait_for: WaitFor
) -> None:
    sent = tmp_path / "sent.txt"
    sent.write_text("from here")
    tab.upload([sent])
    wait_for(lambda: "sent.txt" in names(tab))
    folder = tmp_path / "down"
    folder.mkdir()
    tab.download(["/srv/sent.txt", "/srv/b"], folder)
    wait_for(lambda: (folder / "b" / "inner").is_dir())
    assert (folder / "sent.txt").read_text() == "from here"


def test_replacing_a_file_needs_a_confirmation(
    tab: FilesTab, app: App, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    sent = tmp_path / "note.txt"
    sent.write_text("new")
    tab.upload([sent])
    (question,) = app.window.findChildren(Confirm)
    assert client.files.read(tab.key, "/srv/note.txt") == b"one\ntwo\n"
    question.agree.click()
    wait_for(lambda: client.files.read(tab.key, "/srv/note.txt") == b"new")


def test_files_of_a_stopped_container_are_listed(
    app_context: AppContext, client: DockerClient, qtbot: QtBot, wait_for: WaitFor
) -> None:
    key = client.containers.create(sleeper("files-cold"))
    wait_for(lambda: key in app_context.stores.containers.rows)
    tab = FilesTab(app_context, key)
    qtbot.addWidget(tab)
    tab.show()
    wait_for(lambda: "bin" in names(tab))
    tab.leave()


def test_the_filter_hides_files_only_in_the_table(tab: FilesTab) -> None:
    tab.browser.filter.setText("note")
    assert names(tab) == ["note.txt"]
    assert {entry.name for entry in tab.browser.all} >= {"a", "b", "note.txt"}
    tab.browser.filter.clear()
    assert len(names(tab)) == 5


def test_files_that_are_dropped_are_uploaded(
    tab: FilesTab, tmp_path: Path, wait_for: WaitFor
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside.txt").write_text("x")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "folder"))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    copy = Qt.DropAction.CopyAction
    tab.dropEvent(QDropEvent(QPointF(5, 5), copy, data, buttons, keys))
    wait_for(lambda: "folder" in names(tab))
    tab.browser.open_folder("/srv/folder")
    wait_for(lambda: names(tab) == ["inside.txt"])


def test_a_double_click_opens_a_folder(tab: FilesTab, wait_for: WaitFor) -> None:
    pos = tab.browser.table.visualRect(at(tab, "b")).center()
    QTest.mouseClick(tab.browser.table.viewport(), Qt.MouseButton.LeftButton, pos=pos)
    QTest.mouseDClick(tab.browser.table.viewport(), Qt.MouseButton.LeftButton, pos=pos)
    wait_for(lambda: tab.browser.folder == "/srv/b")


def test_a_part_of_the_path_is_a_button(tab: FilesTab, wait_for: WaitFor) -> None:
    tab.browser.open_folder("/srv/b/inner")
    wait_for(lambda: tab.browser.folder == "/srv/b/inner")
    parts = {one.accessibleName(): one for one in tab.browser.path_bar.findChildren(QPushButton)}
    parts["/srv"].click()
    wait_for(lambda: tab.browser.folder == "/srv")
