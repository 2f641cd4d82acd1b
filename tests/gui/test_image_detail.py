"""The detail view of an image: its layers, their files, and the removal of the image."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from desktop.app import App
from desktop.pages.images.detail import ImageDetailView
from desktop.pages.images.page import ImagesPage
from engine.docker.client import DockerClient
from tests.gui.test_images import line, titles
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker

type WaitFor = Callable[..., None]


@pytest.fixture
def page(images_page: ImagesPage) -> ImagesPage:
    return images_page


@pytest.fixture
def built(
    dockerd: Dockerd, page: ImagesPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """An image with a layer on top of the base, and a configuration."""
    (tmp_path / "added.txt").write_text("hello")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {IMAGE}:latest\nENV COLOR=blue\nCOPY added.txt /srv/added.txt\n"
    )
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    done = docker(dockerd.socket, "build", "-q", "-t", "built:1", str(tmp_path))
    assert done.returncode == 0, done.stderr
    return "built:1"


def test_the_view_shows_layers_and_their_files_on_demand(
    page: ImagesPage, built: str, wait_for: WaitFor
) -> None:
    wait_for(lambda: built in titles(page))
    page.table.choose(line(page, built).key)
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    view = page.opened
    assert isinstance(view, ImageDetailView)
    overview = view.overview
    assert overview is not None
    wait_for(lambda: overview.layers is not None)
    assert overview.layers is not None
    made = [one for one in overview.layers.buttons if one.isEnabled()]
    assert [one.layer.instruction.split()[0] for one in made] == ["COPY", "Imported"]
    assert any(one.text().startswith("ENV COLOR") for one in overview.layers.buttons)
    QTest.mouseClick(made[0], Qt.MouseButton.LeftButton)
    files = overview.files
    wait_for(lambda: files.model.rowCount() == 1)
    assert files.model.index(0, 0).data() == "/srv/added.txt"
    view.show_tab("inspect")
    QTest.mouseClick(view.back_button, Qt.MouseButton.LeftButton)
    assert page.opened is None
    chosen = page.table.current_line()
    assert chosen is not None
    assert chosen.row.tag == built


def test_closing_the_view_cancels_the_read_of_a_layer(
    app: App, page: ImagesPage, built: str, wait_for: WaitFor
) -> None:
    wait_for(lambda: built in titles(page))
    page.open(line(page, built).key)
    view = page.opened
    assert isinstance(view, ImageDetailView)
    overview = view.overview
    assert overview is not None
    wait_for(lambda: overview.layers is not None)
    assert overview.layers is not None
    overview.layers.buttons[-1].click()
    task = overview.files.task
    assert task is not None
    page.back()
    assert task.cancel.is_set
    wait_for(lambda: not app.app_context.tasks.running)


def test_an_image_that_is_removed_while_it_is_shown_is_reported(
    page: ImagesPage, client: DockerClient, built: str, wait_for: WaitFor
) -> None:
    wait_for(lambda: built in titles(page))
    page.open(line(page, built).key)
    view = page.opened
    assert isinstance(view, ImageDetailView)
    client.images.remove(built)
    wait_for(lambda: not view.gone.isHidden())
    page.back()
