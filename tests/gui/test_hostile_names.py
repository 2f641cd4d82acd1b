"""Foreign names are shown as plain text on every page: no picture, no bold text."""

import html
import io
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6 import QtGui
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPoint, Qt
from PySide6.QtGui import QAction, QHelpEvent
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QLabel, QMenu, QToolTip, QWidget

from desktop.app import App
from desktop.pages.images.detail import ImageDetailView
from desktop.widgets.basics import button
from engine.docker.client import DockerClient
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker

type WaitFor = Callable[..., None]
HOSTILE = "<img src=/tmp/x>n &amp; <b>R&D</b>"


def read_as_markup(text: str) -> bool:
    """Whether Qt would interpret it as markup, apart from the paragraph that `tip` adds."""
    inside = text.removeprefix("<p style='white-space:pre-wrap'>").removesuffix("</p>")
    return QtGui.Qt.mightBeRichText(text) and (inside == text or "<" in inside)


def _tips(model: QAbstractItemModel, parent: QModelIndex | None = None) -> Iterator[str]:
    parent = parent or QModelIndex()
    for line in range(model.rowCount(parent)):
        for column in range(model.columnCount(parent)):
            tip = model.index(line, column, parent).data(Qt.ItemDataRole.ToolTipRole)
            if isinstance(tip, str):
                yield tip
        yield from _tips(model, model.index(line, 0, parent))


def shows(top: QWidget, words: str) -> bool:
    """Whether a label, a button, a tooltip or a list shows the words."""
    for widget in top.findChildren(QWidget):
        texts = [widget.toolTip(), widget.accessibleName()]
        if isinstance(widget, QLabel | QAbstractButton):
            texts.append(widget.text())
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            texts += _tips(widget.model())
        if any(words in html.unescape(text) for text in texts):
            return True
    return False


def violations(top: QWidget) -> list[str]:
    """In all current labels, tooltips, lists and menu entries."""
    found = []
    for widget in (top, *top.findChildren(QWidget)):
        if read_as_markup(widget.toolTip()):
            found.append(f"the tip of {widget}: {widget.toolTip()}")
        if isinstance(widget, QLabel) and widget.textFormat() is not Qt.TextFormat.PlainText:
            found.append(f"the format of {widget}: {widget.text()}")
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            found += [f"a tip in {widget}" for tip in _tips(widget.model()) if read_as_markup(tip)]
    for action in top.findChildren(QAction):
        if read_as_markup(action.toolTip()) and isinstance(action.parent(), QMenu):
            found.append(f"the tip of an action: {action.toolTip()}")
    return found


@pytest.fixture
def hostile(dockerd: Dockerd, tmp_path: Path) -> Iterator[str]:
    """A network, a volume, an image and a container, hostile in every field where dockerd allows
    it. Returns the network's name."""
    layer, image = tmp_path / "layer.tar", "hostile:latest"
    with tarfile.open(layer, "w") as archive:
        for name in (HOSTILE.replace("/", "|"), "<b>bold"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))

    def do(*words: str) -> None:
        done = docker(dockerd.socket, *words)
        assert done.returncode == 0, done.stderr

    label = ("--label", f"<b>k</b>={HOSTILE}")
    changes = ("--change", f'LABEL maker="{HOSTILE}"', "--change", f'ENV A="{HOSTILE}"')
    do("import", "--message", HOSTILE, *changes, str(layer), image)
    do("network", "create", *label, HOSTILE)
    do("volume", "create", *label, "hostile")
    do("create", "--name", "hostile", *label, "--network", HOSTILE, "-v", "hostile:/data",
       "-e", f"B={HOSTILE}", "--hostname", "hostile", "--workdir", f"/{HOSTILE}",
       IMAGE, "sh", "-c", HOSTILE)  # fmt: skip
    yield HOSTILE
    docker(dockerd.socket, "rm", "-f", "hostile")
    docker(dockerd.socket, "rmi", "-f", image)
    docker(dockerd.socket, "volume", "rm", "hostile")
    docker(dockerd.socket, "network", "rm", HOSTILE)


def test_no_page_interprets_a_name_as_markup(
    hostile: str, app: App, client: DockerClient, wait_for: WaitFor
) -> None:
    stores = app.app_context.stores
    wait_for(lambda: any(row.name == hostile for row in stores.networks.rows.values()))
    container = next(iter(row.id for row in client.containers.list()))
    image = next(row.id for row in client.images.list() if "hostile:latest" in row.tags)
    network = next(key for key, row in stores.networks.rows.items() if row.name == hostile)
    wait_for(lambda: container in stores.containers.rows and image in stores.images.rows)
    wait_for(lambda: "hostile" in stores.volumes.rows)
    for page, key, words in (
        *(("containers", "", "hostile"), ("images", "", "hostile"), ("volumes", "", "hostile")),
        *(("networks", "", "<img"), ("containers", container, "hostile")),
        *(
            ("networks", network, "<img"),
            ("volumes", "hostile", "hostile"),
            ("images", image, "<img"),
        ),
        *(("engine", "", ""), ("settings", "", ""), ("help", "", "")),
    ):
        app.window.go(page, key)
        current = app.window.current
        assert current is not None
        wait_for(partial(shows, current, words))
        assert violations(app.window) == []


def test_file_names_of_a_layer_are_shown_as_plain_text(
    hostile: str, app: App, wait_for: WaitFor
) -> None:
    stores = app.app_context.stores
    wait_for(lambda: any("hostile:latest" in row.tags for row in stores.images.rows.values()))
    image = next(row.id for row in stores.images.rows.values() if "hostile:latest" in row.tags)
    app.window.go("images", image)
    (view,) = app.window.findChildren(ImageDetailView)
    overview = view.overview
    assert overview is not None
    wait_for(lambda: overview.layers is not None)
    assert overview.layers is not None
    overview.layers.buttons[-1].click()
    wait_for(lambda: overview.files.model.rowCount() > 0)
    assert violations(app.window) == []
    assert any("&lt;b&gt;bold" in tip for tip in _tips(overview.files.model))


def test_the_map_of_networks_shows_a_name_as_plain_text(
    hostile: str, app: App, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from desktop.pages.networks.page import NetworksPage

    wait_for(
        lambda: any(row.name == hostile for row in app.app_context.stores.networks.rows.values())
    )
    app.window.go("networks")
    page = app.window.pages["networks"]
    assert isinstance(page, NetworksPage)
    page.show_map(True)
    tooltips: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda place, text, widget: tooltips.append(text))
    wait_for(lambda: any(spot.network.name == hostile for spot in page.map.layout_now.spots))
    for spot in page.map.layout_now.spots:
        at = spot.where.center()
        page.map.event(QHelpEvent(QHelpEvent.Type.ToolTip, at, QPoint()))
    assert any("img" in text for text in tooltips)
    assert not any(read_as_markup(text) for text in tooltips)
    page.show_map(False)


def test_an_ampersand_is_no_shortcut(app: App) -> None:
    made = button("R&D")
    assert (made.text(), made.shortcut().toString()) == ("R&D", "")
    assert QAbstractButton.text(made) == "R&&D"
    made.deleteLater()
