"""Names of images as users write them, and the texts of a transfer."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from desktop.app import App
from desktop.dialogs import images as dialogs
from desktop.dialogs.image_name import ImageNameDialog, tidy, what_is_wrong
from desktop.models import transfers
from desktop.models.images import full_name
from engine.docker.types import LayerProgress, TransferProgress


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nginx", ""),
        ("nginx:1.27", ""),
        ("localhost:5000/a/b-c_d:latest", ""),
        ("example.com/team/app@sha256:" + "a" * 64, ""),
        ("Nginx", "lower case"),
        ("my image", "spaces"),
        ("nginx:", "tag"),
        ("nginx@sha256:12", "digest"),
        ("a//b", "not a name"),
    ],
)
def test_an_invalid_name_is_explained(name: str, fault: str) -> None:
    sentence = what_is_wrong(name)
    assert fault in sentence
    assert bool(sentence) == bool(fault)


def test_a_pasted_pull_command_is_reduced_to_the_name() -> None:
    assert tidy(" $ docker image pull https://example.com/app:1 ") == "example.com/app:1"


def test_an_invalid_name_is_marked_and_cannot_be_submitted(app: App) -> None:
    dialogs.ask_pull(app.app_context)
    dialog = app.window.findChild(ImageNameDialog)
    assert dialog is not None
    assert not dialog.agree.isEnabled(), "an empty name is invalid"
    QTest.keyClicks(dialog.edit, "Web:1")
    assert dialog.edit.property("wrong")
    assert "lower case" in dialog.field.below.text()
    QTest.keyClick(dialog.edit, Qt.Key.Key_Return)
    assert dialog.isVisible()
    assert dialog.edit.text() == "Web:1"
    dialog.edit.setText("web:1")
    assert not dialog.edit.property("wrong")
    assert dialog.agree.isEnabled()
    dialog.reject()


def test_finished_layers_are_hidden_first() -> None:
    layers = tuple(
        LayerProgress(str(n), "Pull complete" if n % 2 else "Downloading", n, 10) for n in range(10)
    )
    progress = TransferProgress("", layers)
    shown = transfers.most_alive(progress, 6)
    assert [layer.id for layer in shown] == ["0", "1", "2", "4", "6", "8"]
    assert transfers.share(layers[1]) == 1.0
    assert transfers.share(layers[4]) == pytest.approx(0.4)
    assert transfers.note(progress) == "5 of 10 layers"


def test_short_and_full_names_are_equal() -> None:
    assert full_name("nginx") == full_name("docker.io/library/nginx:latest") == "nginx:latest"
    assert full_name("example.com:5000/a") == "example.com:5000/a:latest"
