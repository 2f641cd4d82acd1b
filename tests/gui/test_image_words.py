"""Names of images as people write them, and the words of a transfer."""

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
def test_what_is_wrong_with_a_name(name: str, fault: str) -> None:
    sentence = what_is_wrong(name)
    assert fault in sentence
    assert bool(sentence) == bool(fault)


def test_a_name_that_was_copied_with_its_command() -> None:
    assert tidy(" $ docker image pull https://example.com/app:1 ") == "example.com/app:1"


def test_a_wrong_name_is_marked_and_cannot_be_sent(app: App) -> None:
    dialogs.ask_pull(app.app_context)
    asked = app.window.findChild(ImageNameDialog)
    assert asked is not None
    assert not asked.agree.isEnabled(), "nothing is not a name"
    QTest.keyClicks(asked.edit, "Web:1")
    assert asked.edit.property("wrong")
    assert "lower case" in asked.field.below.text()
    QTest.keyClick(asked.edit, Qt.Key.Key_Return)
    assert asked.isVisible()
    assert asked.edit.text() == "Web:1"
    asked.edit.setText("web:1")
    assert not asked.edit.property("wrong")
    assert asked.agree.isEnabled()
    asked.reject()


def test_layers_that_are_over_leave_first() -> None:
    layers = tuple(
        LayerProgress(str(n), "Pull complete" if n % 2 else "Downloading", n, 10) for n in range(10)
    )
    progress = TransferProgress("", layers)
    shown = transfers.most_alive(progress, 6)
    assert [layer.id for layer in shown] == ["0", "1", "2", "4", "6", "8"]
    assert transfers.share(layers[1]) == 1.0
    assert transfers.share(layers[4]) == pytest.approx(0.4)
    assert transfers.note(progress) == "5 of 10 layers"


def test_two_ways_to_write_a_name_are_one() -> None:
    assert full_name("nginx") == full_name("docker.io/library/nginx:latest") == "nginx:latest"
    assert full_name("example.com:5000/a") == "example.com:5000/a:latest"
