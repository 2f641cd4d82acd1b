"""The page of volumes: the list, its dialogs, and the export and import of a tar."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QDialog, QFileDialog, QMenu

from desktop.actions import volumes as actions
from desktop.app import App
from desktop.context import AppContext
from desktop.dialogs.prune import PruneDialog
from desktop.dialogs.volume import (
    CloneVolumeDialog,
    CreateVolumeDialog,
    ImportVolumeDialog,
    read_labels,
)
from desktop.pages.attached import AttachedList
from desktop.pages.volumes.detail import VolumeDetail
from desktop.pages.volumes.page import VolumesPage
from desktop.session.tasks import TaskState
from desktop.widgets.confirm import Confirm
from desktop.widgets.file_browser import FileBrowser
from desktop.widgets.toasts import Toast
from engine.docker.client import DockerClient
from engine.docker.types import Mount, RunSpec
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker

type WaitFor = Callable[..., None]
FILL = """
mkdir -p /v/logs/old && cd /v && echo hello > logs/app.log && ln -s logs/app.log latest
head -c 300000 /dev/urandom > data.bin && chmod 600 data.bin && chown 70:70 data.bin
echo umlaut > 'näme with spaces'
"""
SUM = """
cd /v && find . -type f | sort | while read -r f; do md5sum "$f"; stat -c '%a %u %g' "$f"; done
readlink latest
"""


@pytest.fixture
def page(app: App, client: DockerClient) -> Iterator[VolumesPage]:
    app.window.go("volumes")
    found = app.window.pages["volumes"]
    assert isinstance(found, VolumesPage)
    yield found
    for container in client.containers.list():
        client.containers.remove(container.id, force=True)
    for volume in client.volumes.list():
        client.volumes.remove(volume.name)


def names(page: VolumesPage) -> list[str]:
    return [line.key for line in page.model.lines]


def cell(page: VolumesPage, name: str, column: int) -> str:
    line = page.model.lines[page.model.place(name)]
    return page.model.text(line, page.model.columns[column])


def in_volume(dockerd: Dockerd, volume: str, script: str) -> str:
    done = docker(
        dockerd.socket, "run", "--rm", "--network=none", "-v", f"{volume}:/v", IMAGE, "sh", "-c",
        script,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def dialog[Kind: QDialog](app: App, kind: type[Kind]) -> Kind:
    found = [one for one in app.window.findChildren(kind) if one.isVisible()]
    assert len(found) == 1, f"one {kind.__name__}"
    return found[0]


def no_task_runs(app_context: AppContext) -> bool:
    return not app_context.tasks.running


def test_a_volume_of_another_client_appears_with_size_and_users(
    app: App, page: VolumesPage, client: DockerClient, dockerd: Dockerd, wait_for: WaitFor
) -> None:
    QAbstractItemModelTester(page.model, QAbstractItemModelTester.FailureReportingMode.Fatal, app)
    client.volumes.create("seen")
    wait_for(lambda: "seen" in names(page))
    in_volume(dockerd, "seen", "head -c 5000 /dev/zero > /v/f")
    page.refresh()
    wait_for(lambda: cell(page, "seen", 2) == "4.9 KiB")
    assert cell(page, "seen", 3) == "unused"
    mount = Mount("volume", "seen", "/v")
    client.containers.create(RunSpec(IMAGE, "holder", ("true",), network="none", mounts=(mount,)))
    wait_for(lambda: cell(page, "seen", 3) == "holder")
    page.filter.setText("holder")
    assert names(page) == ["seen"], "a volume is found by its container"
    page.filter.clear()


def test_the_create_form_checks_the_name_and_keeps_the_input(
    app: App, page: VolumesPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.volumes.create("taken")
    wait_for(lambda: "taken" in names(page))
    QTest.mouseClick(page.create_button, Qt.MouseButton.LeftButton)
    form = dialog(app, CreateVolumeDialog)
    QTest.keyClicks(form.name, "taken")
    QTest.keyClick(form.name, Qt.Key.Key_Return)
    assert form.name.property("wrong")
    client.volumes.create("raced")  # not in the window's list yet
    form.name.setText("raced")
    form.labels.setPlainText("team = shop\nbare")
    form.submit()
    assert form.asking.isVisible()
    wait_for(lambda: form.problem.isVisible())
    assert "raced" in form.problem.text()
    assert form.labels.toPlainText() == "team = shop\nbare", "a refusal keeps the input"
    form.name.setText("made")
    form.submit()
    wait_for(lambda: "made" in names(page))
    row = page.app.stores.volumes.rows["made"]
    assert dict(row.labels) == {"team": " shop", "bare": ""}


def test_each_line_is_a_label() -> None:
    assert read_labels("a=b=c\n\n d \n") == ([("a", "b=c"), ("d", "")], "")
    assert read_labels("=x")[1] == "=x"


def test_folders_and_files_can_be_browsed(
    app: App, page: VolumesPage, dockerd: Dockerd, wait_for: WaitFor
) -> None:
    in_volume(dockerd, "browsed", FILL)
    wait_for(lambda: "browsed" in names(page))
    page.table.choose("browsed")
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    assert isinstance(page.opened, VolumeDetail)
    browser = page.opened.made["files"]
    assert isinstance(browser, FileBrowser)

    def shown() -> list[str]:
        return [entry.name for entry in browser.model.entries]

    wait_for(lambda: shown() == ["logs", "data.bin", "latest", "näme with spaces"])
    QTest.keyClick(browser.table, Qt.Key.Key_Return)
    wait_for(lambda: shown() == ["old", "app.log"])
    assert browser.path.text() == "/logs"
    browser.table.setCurrentIndex(browser.model.index(1, 0))
    QTest.keyClick(browser.table, Qt.Key.Key_Return)
    wait_for(lambda: browser.text.toPlainText() == "hello\n")
    QTest.keyClick(browser.text, Qt.Key.Key_Backspace)
    assert browser.stack.currentWidget() is browser.table
    QTest.keyClick(browser.table, Qt.Key.Key_Backspace)
    wait_for(lambda: browser.folder == "/")
    current = browser.model.entry(browser.table.currentIndex())
    assert current is not None
    assert current.name == "logs", "the folder that was left is selected"
    browser.path.setText("/nowhere")
    QTest.keyClick(browser.path, Qt.Key.Key_Return)
    wait_for(lambda: browser.stack.currentWidget() not in (browser.table, browser.viewer))
    assert browser.path.text() == "/nowhere"
    assert browser.stack.currentWidget() is browser.failure
    assert browser.failure.summary.text() == "There is no /nowhere in browsed."
    browser.open_folder("/")
    wait_for(lambda: browser.stack.currentWidget() is browser.table)


def test_an_exported_volume_is_imported_unchanged(
    app: App, page: VolumesPage, dockerd: Dockerd, tmp_path: Path, wait_for: WaitFor
) -> None:
    in_volume(dockerd, "origin", FILL)
    wait_for(lambda: "origin" in names(page))
    packed = tmp_path / "origin.tar"
    task = actions.export(page.app, page.app.stores.volumes.rows["origin"], packed)
    wait_for(lambda: task.state.is_over)
    assert task.state is TaskState.DONE
    assert packed.stat().st_size > 300_000
    form = ImportVolumeDialog(page.app, app.window, packed)
    form.open()
    assert form.target == "origin"
    form.submit()
    assert form.name.property("wrong"), "a volume has the file's name"
    form.name.setText("arrived")
    form.submit()
    wait_for(lambda: "arrived" in names(page) and no_task_runs(page.app))
    assert in_volume(dockerd, "arrived", SUM) == in_volume(dockerd, "origin", SUM)


def test_import_into_an_existing_volume_needs_a_confirmation(
    app: App, page: VolumesPage, dockerd: Dockerd, tmp_path: Path, wait_for: WaitFor
) -> None:
    in_volume(dockerd, "old", "echo mine > /v/same; echo kept > /v/other")
    in_volume(dockerd, "new", "echo theirs > /v/same")
    wait_for(lambda: {"old", "new"} <= set(names(page)))
    packed = tmp_path / "new.tar"
    task = actions.export(page.app, page.app.stores.volumes.rows["new"], packed)
    wait_for(lambda: task.state is TaskState.DONE)
    form = ImportVolumeDialog(page.app, app.window, packed, into="old")
    form.open()
    form.submit()
    confirm = dialog(app, Confirm)
    assert in_volume(dockerd, "old", "cat /v/same") == "mine\n", (
        "nothing is imported before the confirmation"
    )
    QTest.mouseClick(confirm.agree, Qt.MouseButton.LeftButton)
    wait_for(lambda: len(page.app.tasks.all) == 2 and no_task_runs(page.app))
    assert in_volume(dockerd, "old", "cat /v/same /v/other") == "theirs\nkept\n"


def test_export_and_import_use_file_dialogs(
    app: App, page: VolumesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    client.volumes.create("saved")
    wait_for(lambda: "saved" in names(page))
    app.window.go("volumes", "saved")
    opened = page.opened
    assert isinstance(opened, VolumeDetail)
    QTest.mouseClick(opened.export_button, Qt.MouseButton.LeftButton)
    chooser = dialog(app, QFileDialog)
    packed = tmp_path / "chosen"
    chooser.setDirectory(str(tmp_path))
    chooser.selectFile(str(packed))
    chooser.accept()
    wait_for(lambda: packed.with_suffix(".tar").exists() and no_task_runs(page.app))
    page.back()
    QTest.mouseClick(page.import_button, Qt.MouseButton.LeftButton)
    chooser = dialog(app, QFileDialog)
    chooser.setDirectory(str(tmp_path))
    chooser.selectFile("chosen.tar")
    chooser.accept()
    form = dialog(app, ImportVolumeDialog)
    assert form.path.text() == str(packed.with_suffix(".tar"))
    assert form.target == "chosen"
    form.close()


def test_a_file_that_is_no_tar_is_reported_and_leaves_no_volume(
    app: App, page: VolumesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no tar at all" * 100)
    task = actions.import_tar(page.app, "never", broken)
    wait_for(lambda: task.state.is_over)
    assert task.problem is not None
    assert "broken.tar is not a whole tar file" in task.problem.summary
    assert any("broken.tar" in toast.title for toast in app.window.findChildren(Toast))
    assert "never" not in [row.name for row in client.volumes.list()]


def test_a_clone_has_the_same_files(
    app: App, page: VolumesPage, dockerd: Dockerd, wait_for: WaitFor
) -> None:
    in_volume(dockerd, "first", FILL)
    wait_for(lambda: "first" in names(page))
    form = CloneVolumeDialog(page.app, page.app.stores.volumes.rows["first"], app.window)
    form.open()
    assert form.name.text() == "first-copy"
    form.submit()
    wait_for(lambda: "first-copy" in names(page) and no_task_runs(page.app))
    assert in_volume(dockerd, "first-copy", SUM) == in_volume(dockerd, "first", SUM)


def test_delete_refuses_a_used_volume_and_confirms_the_others(
    app: App, page: VolumesPage, client: DockerClient, wait_for: WaitFor
) -> None:
    mount = Mount("volume", "used", "/v")
    client.containers.create(RunSpec(IMAGE, "holder", ("true",), network="none", mounts=(mount,)))
    for name in ("free-1", "free-2"):
        client.volumes.create(name)
    wait_for(lambda: len(names(page)) == 3 and cell(page, "used", 3) == "holder")
    page.table.choose("used")
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    toasts = app.window.findChildren(Toast)
    assert [toast.title for toast in toasts] == ["used is used by holder."]
    page.table.selectAll()
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    confirm = dialog(app, Confirm)
    assert "2 volumes" in confirm.windowTitle()
    confirm.agree.click()
    assert set(page.app.stores.volumes.busy) == {"free-1", "free-2"}, "at once"
    wait_for(lambda: names(page) == ["used"])


def test_prune_lists_volumes_before_it_deletes_them(
    app: App, page: VolumesPage, client: DockerClient, dockerd: Dockerd,
    wait_for: WaitFor,
) -> None:  # fmt: skip
    in_volume(dockerd, "named", "head -c 7000 /dev/zero > /v/f")
    nameless = docker(dockerd.socket, "volume", "create").stdout.decode().strip()
    wait_for(lambda: len(names(page)) == 2)
    QTest.mouseClick(page.prune_button, Qt.MouseButton.LeftButton)
    form = dialog(app, PruneDialog)
    wait_for(lambda: form.agree.isEnabled())
    assert form.names.toPlainText() == nameless
    form.wide.setChecked(True)
    assert form.sum.text() == "2 volumes, 6.8 KiB"
    form.wide.setChecked(False)
    assert {row.name for row in client.volumes.list()} == {"named", nameless}
    form.agree.click()
    wait_for(lambda: names(page) == ["named"])


def test_the_menu_copies_the_mountpoint_and_the_detail_is_updated(
    app: App, page: VolumesPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.volumes.create("looked-at")
    wait_for(lambda: "looked-at" in names(page))
    menu = QMenu()
    page.fill_menu(menu, [page.model.lines[0]])
    entries = {action.text(): action for action in menu.actions()}
    entries["Copy mountpoint"].trigger()
    assert QGuiApplication.clipboard().text().endswith("/looked-at/_data")
    menu.deleteLater()
    app.window.go("volumes", "looked-at", "containers")
    opened = page.opened
    assert isinstance(opened, VolumeDetail)
    users = opened.made["containers"]
    assert isinstance(users, AttachedList)
    mount = Mount("volume", "looked-at", "/v")
    made = client.containers.create(
        RunSpec(IMAGE, "holder", ("true",), network="none", mounts=(mount,))
    )
    wait_for(lambda: opened.users_chip.text() == "used by 1 container")
    client.containers.remove(made)
    wait_for(lambda: opened.users_chip.text() == "unused")
    client.volumes.remove("looked-at")
    wait_for(lambda: opened.gone.isVisible())
    page.back()
    assert page.stack.currentWidget() is page.empty
