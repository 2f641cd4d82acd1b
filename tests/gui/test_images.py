"""The list of images and its actions, with a real registry."""

import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QLabel, QMenu

from desktop.actions import images as actions
from desktop.actions import images_delete
from desktop.app import App
from desktop.dialogs import images as dialogs
from desktop.dialogs.image_name import ImageNameDialog
from desktop.dialogs.prune import PruneDialog
from desktop.models.images import NamedImage
from desktop.pages.images.page import ImagesPage
from desktop.session.tasks import TaskState
from desktop.widgets.confirm import Confirm
from desktop.widgets.toasts import Toast
from desktop.widgets.transfer import TransferCard
from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from tests.gui.test_containers_page import sleeper
from tests.unit.engine.bridge.servers import IMAGE, Dockerd
from tests.unit.engine.docker.registry import FAST, SLOW, Registry

type WaitFor = Callable[..., None]
LARGE = 24 * 1024 * 1024
BASE = f"{IMAGE}:latest"


@pytest.fixture(scope="module")
def registry(dockerd: Dockerd) -> Iterator[Registry]:
    with tempfile.TemporaryDirectory() as folder:
        made = Registry(dockerd, Path(folder))
        made.start()
        yield made
        made.stop()


@pytest.fixture
def page(images_page: ImagesPage) -> ImagesPage:
    return images_page


def titles(page: ImagesPage) -> list[str]:
    return [line.row.title for line in page.model.lines]


def line(page: ImagesPage, tag: str) -> NamedImage:
    found: NamedImage = next(one.row for one in page.model.lines if one.row.tag == tag)
    return found


def toast_titles(app: App) -> list[str]:
    return [toast.title for toast in app.window.findChildren(Toast)]


def question(app: App) -> Confirm:
    (found,) = [one for one in app.window.findChildren(Confirm) if one.isVisible()]
    return found


def sentences(confirm: Confirm) -> str:
    return " ".join(one.text() for one in confirm.findChildren(QLabel))


def a_tar(path: Path, size: int) -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("data/file")
        info.size = size
        archive.addfile(info, BytesIO(os.urandom(size)))
    return path


def make_image(client: DockerClient, folder: Path, ref: str, size: int = 10) -> None:
    list(client.images.import_tar(a_tar(folder / "some.tar", size), ref, Cancel()))


# The list


def test_each_name_is_a_row_with_the_containers_that_use_it(
    app: App, page: ImagesPage, client: DockerClient, wait_for: WaitFor
) -> None:
    QAbstractItemModelTester(page.model, QAbstractItemModelTester.FailureReportingMode.Fatal, app)
    assert titles(page) == [BASE]
    client.images.tag(BASE, "other:1")
    wait_for(lambda: sorted(titles(page)) == sorted([BASE, "other:1"]))
    client.containers.run(sleeper("user"))
    used = page.model.columns[2]
    wait_for(lambda: used.text(line(page, BASE)) == "user")
    assert used.text(line(page, "other:1")) == "unused", (
        "the container was created from the other name"
    )
    page.filter.setText("other")
    assert titles(page) == ["other:1"]
    client.images.remove("other:1")
    wait_for(lambda: not titles(page))


def test_an_image_without_a_name_is_a_row_too(
    page: ImagesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    make_image(client, tmp_path, "twice:1")
    make_image(client, tmp_path, "twice:1")
    wait_for(lambda: any(title.startswith("<none> ") for title in titles(page)))
    wait_for(lambda: "3 images" in page.totals.text() and "unused" in page.totals.text())


def test_a_narrow_window_leaves_columns_out_and_keeps_the_buttons(
    app: App, page: ImagesPage, wait_for: WaitFor
) -> None:
    titles_of = {column.title: place for place, column in enumerate(page.model.columns)}
    assert not page.table.isColumnHidden(titles_of["ID"])
    app.window.resize(app.window.minimumSize())
    wait_for(lambda: page.table.isColumnHidden(titles_of["ID"]))
    assert page.totals.isHidden()
    header = page.table.header()
    assert header.length() <= page.table.viewport().width()


def test_an_image_is_found_by_its_id_alone(page: ImagesPage) -> None:
    named = line(page, BASE)
    page.app.window.go("images", named.image.id)
    assert page.opened is not None
    page.back()
    chosen = page.table.current_line()
    assert chosen is not None
    assert chosen.key == named.key


def test_the_menu_has_the_possible_actions(app: App, page: ImagesPage) -> None:
    menu = QMenu()
    page.fill_menu(menu, page.model.lines)
    actions_of = {one.text(): one for one in menu.actions() if not one.isSeparator()}
    assert list(actions_of) == [
        *("Open", "Run…", "Pull again", "Add a name…", "Push…"),
        *("Copy name", "Copy ID", "Copy digest", "Save as a tar file…", "Delete…"),
    ]
    off = [word for word, action in actions_of.items() if not action.isEnabled()]
    assert off == ["Copy digest"], "it was never in a registry"
    for word, copied in (("Copy name", BASE), ("Copy ID", line(page, BASE).image.id)):
        actions_of[word].trigger()
        assert QGuiApplication.clipboard().text() == copied
    actions_of["Delete…"].trigger()
    assert BASE in question(app).windowTitle()
    question(app).reject()
    actions_of["Open"].trigger()
    assert page.opened is not None


def test_the_menu_of_an_image_without_a_name(
    page: ImagesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    make_image(client, tmp_path, "twice:1")
    make_image(client, tmp_path, "twice:1")
    wait_for(lambda: any(title.startswith("<none> ") for title in titles(page)))
    menu = QMenu()
    page.fill_menu(menu, [one for one in page.model.lines if not one.row.tag])
    off = [action.text() for action in menu.actions() if not action.isEnabled()]
    assert off == ["Pull again", "Copy name", "Copy digest"]


# Deleting


def test_deleting_one_name_of_two_removes_only_the_name(
    page: ImagesPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.images.tag(BASE, "second:1")
    wait_for(lambda: "second:1" in titles(page))
    page.table.choose(line(page, "second:1").key)
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    confirm = page.app.window.widget.findChild(Confirm)
    assert confirm is not None
    assert "second:1" in confirm.windowTitle()
    assert "second:1" in titles(page), "nothing is deleted before the confirmation"
    QTest.mouseClick(confirm.agree, Qt.MouseButton.LeftButton)
    assert page.app.stores.images.busy, "the row shows the deletion at once"
    wait_for(lambda: titles(page) == [BASE])
    wait_for(lambda: not page.app.stores.images.busy)


def test_an_image_in_use_is_refused_and_a_forced_deletion_is_offered(
    app: App, page: ImagesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    list(client.images.save([BASE], tmp_path / "base.tar", Cancel()))
    found = line(page, BASE)
    assert "has to be pulled" in images_delete.prompt_for(images_delete.removals([found])).loses
    images_delete.delete(app.app_context, [found])
    confirm = app.window.findChild(Confirm)
    assert confirm is not None
    client.containers.run(sleeper("holder"))  # after the confirmation was opened
    confirm.accept()
    wait_for(lambda: any("in use" in one.windowTitle() for one in app.window.findChildren(Confirm)))
    offer = next(one for one in app.window.findChildren(Confirm) if "in use" in one.windowTitle())
    assert BASE in titles(page)
    assert not toast_titles(app), "no toast beside the offer"
    offer.accept()
    wait_for(lambda: BASE not in titles(page))
    client.containers.remove("holder", force=True)
    list(client.images.load(tmp_path / "base.tar", Cancel()))


def test_the_confirmation_names_the_containers_that_use_an_image(
    app: App, page: ImagesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    list(client.images.save([BASE], tmp_path / "base.tar", Cancel()))
    client.containers.run(sleeper("holder"))
    make_image(client, tmp_path, "free:1")
    wait_for(lambda: app.app_context.stores.containers.rows and "free:1" in titles(page))
    images_delete.delete(app.app_context, [line(page, BASE), line(page, "free:1")])
    confirm = question(app)
    assert confirm.windowTitle() == "Delete free:1?"
    assert f"{BASE} is used by holder. They are not deleted." in sentences(confirm)
    confirm.accept()
    wait_for(lambda: titles(page) == [BASE] and not app.window.findChildren(Confirm))
    images_delete.delete(app.app_context, [line(page, BASE)])
    confirm = question(app)
    assert confirm.windowTitle() == f"{BASE} is in use"
    assert f"{BASE} is used by holder. Forced deletion" in sentences(confirm)
    confirm.accept()
    wait_for(lambda: BASE not in titles(page))
    assert not toast_titles(app)
    client.containers.remove("holder", force=True)
    list(client.images.load(tmp_path / "base.tar", Cancel()))


def test_prune_lists_images_before_it_deletes_them(
    app: App, page: ImagesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    client.containers.run(sleeper("keeps-the-base"))
    make_image(client, tmp_path, "old:1", 1_000_000)
    wait_for(lambda: "old:1" in titles(page))
    dialogs.ask_prune(app.app_context)
    dialog = app.window.findChild(PruneDialog)
    assert dialog is not None
    wait_for(lambda: dialog.sum.text() and not dialog.agree.isEnabled())
    assert not dialog.wide.isChecked(), "images with a name are kept by default"
    dialog.wide.click()
    wait_for(lambda: dialog.names.toPlainText() == "old:1")
    assert "1 image" in dialog.sum.text()
    assert "old:1" in titles(page)
    QTest.mouseClick(dialog.agree, Qt.MouseButton.LeftButton)
    wait_for(lambda: titles(page) == [BASE])
    wait_for(lambda: "1 image was deleted" in toast_titles(app))


# Pull, push, save, load


def test_a_pull_shows_its_layers_and_can_be_cancelled(
    app: App,
    page: ImagesPage,
    client: DockerClient,
    registry: Registry,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    make_image(client, tmp_path, f"{FAST}/large:1", LARGE)
    list(client.images.push(f"{FAST}/large:1", Cancel()))
    client.images.remove(f"{FAST}/large:1")
    QTest.mouseClick(page.pull_button, Qt.MouseButton.LeftButton)
    dialog = app.window.findChild(ImageNameDialog)
    assert dialog is not None
    QTest.keyClicks(dialog.edit, f"docker pull {SLOW}/large:1")
    QTest.keyClick(dialog.edit, Qt.Key.Key_Return)
    task = app.app_context.tasks.all[-1]
    cards = app.window.findChildren(TransferCard)
    assert len(cards) == 1, "the card is shown at once"
    wait_for(lambda: cards[0].bars.sizeHint().height() > 0 and (task.fraction or 0) > 0.05)
    QTest.mouseClick(cards[0].cancel, Qt.MouseButton.LeftButton)
    wait_for(lambda: task.state is TaskState.CANCELLED)
    wait_for(lambda: not app.window.findChildren(TransferCard))
    assert f"{SLOW}/large:1" not in titles(page)
    actions.pull(app.app_context, f"{FAST}/large:1")
    wait_for(lambda: f"{FAST}/large:1" in titles(page), 30)
    wait_for(lambda: f"{FAST}/large:1 was pulled" in toast_titles(app))


def test_a_pull_of_a_missing_image_is_explained_and_can_be_retried(
    app: App, page: ImagesPage, registry: Registry, wait_for: WaitFor
) -> None:
    unknown = actions.pull(app.app_context, f"{FAST}/nothing:1")
    wait_for(lambda: unknown.state is TaskState.FAILED)
    assert unknown.problem is not None
    assert "no such tag" in unknown.problem.hint
    nowhere = actions.pull(app.app_context, "127.0.0.1:9/nothing:1")
    wait_for(lambda: nowhere.state is TaskState.FAILED)
    assert nowhere.problem is not None
    assert "127.0.0.1:9 cannot be reached" in nowhere.problem.summary
    assert len(toast_titles(app)) == 2
    assert nowhere.retry is not None
    nowhere.retry()
    assert app.window.findChild(TransferCard), "the retry has a card too"
    wait_for(lambda: not app.app_context.tasks.running)


def test_a_push_tags_the_image_with_the_target(
    app: App, page: ImagesPage, registry: Registry, wait_for: WaitFor
) -> None:
    task = actions.push(app.app_context, line(page, BASE), f"{FAST}/pushed:1")
    wait_for(lambda: task.state is TaskState.DONE, 30)
    wait_for(lambda: f"{FAST}/pushed:1" in titles(page))


def test_an_image_is_saved_and_loaded_and_a_damaged_file_is_refused(
    app: App, page: ImagesPage, client: DockerClient, tmp_path: Path, wait_for: WaitFor
) -> None:
    client.images.tag(BASE, "saved:1")
    saved = actions.save(app.app_context, ["saved:1"], tmp_path / "saved.tar")
    wait_for(lambda: saved.state is TaskState.DONE)
    client.images.remove("saved:1")
    wait_for(lambda: "saved:1" not in titles(page))
    actions.load(app.app_context, tmp_path / "saved.tar")
    wait_for(lambda: "saved:1" in titles(page))
    half = tmp_path / "half.tar"
    half.write_bytes((tmp_path / "saved.tar").read_bytes()[:500_000])
    broken = actions.load(app.app_context, half)
    wait_for(lambda: broken.state is TaskState.FAILED)
    assert broken.problem is not None
    assert "half.tar is damaged" in broken.problem.summary
    missing = actions.load(app.app_context, tmp_path / "missing.tar")
    wait_for(lambda: missing.state is TaskState.FAILED)


def test_a_root_file_system_is_imported_as_an_image(
    app: App, page: ImagesPage, tmp_path: Path, wait_for: WaitFor
) -> None:
    actions.import_tar(app.app_context, a_tar(tmp_path / "root.tar", 100), "made:1")
    wait_for(lambda: "made:1" in titles(page))
