"""The models that are not lists of Docker objects, checked by `QAbstractItemModelTester`."""

from typing import Any

import pytest
from PySide6.QtCore import QAbstractItemModel, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication

from desktop.models.files import FilesModel
from desktop.models.json_tree import JsonModel
from desktop.pages.images.layer_files import LayerFiles
from desktop.theme.theme import Theme
from engine.docker.types import FileEntry

ENTRIES = (
    FileEntry("bin", "folder", 0, 0o755, 1.0),
    FileEntry("größe", "file", 12, 0o644, 2.0),
    FileEntry("a link", "link", 0, 0o777, 3.0, "bin"),
    FileEntry("ملف", "file", 5_000_000_000, 0o600, 4.0),
)
DOCUMENT = {"Id": "1", "State": {"Pid": 7, "Health": None}, "Mounts": [{"Type": "bind"}, []], "": 1}


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp)


def checked[Model: QAbstractItemModel](model: Model) -> Model:
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    return model


def column(model: QAbstractItemModel, number: int = 0) -> list[Any]:
    return [model.data(model.index(row, number)) for row in range(model.rowCount())]


@pytest.mark.parametrize("order", list(Qt.SortOrder))
def test_files_are_shown_sorted_and_cleared(theme: Theme, order: Qt.SortOrder) -> None:
    model = checked(FilesModel(theme))
    model.show(ENTRIES)
    for number in range(model.columnCount()):
        model.sort(number, order)
        assert sorted(entry.name for entry in model.entries) == sorted(e.name for e in ENTRIES)
        assert column(model)[0] == "bin", "folders come first"
    model.show(())
    assert model.rowCount() == 0


def test_the_files_of_a_layer_are_filtered_and_sorted(theme: Theme) -> None:
    model = checked(LayerFiles(theme))
    model.fill(ENTRIES)
    assert "ملف" in column(model)[0], "the largest first"
    model.set_filter("größe")
    assert model.rowCount() == 1
    model.set_filter("")
    model.sort(0)
    assert model.rowCount() == len(ENTRIES)


def test_a_json_document_is_shown_as_a_tree(theme: Theme, qapp: QApplication) -> None:
    model = checked(JsonModel(theme, qapp))
    documents: tuple[Any, ...] = (DOCUMENT, [], DOCUMENT)
    for document in documents:
        model.fill(document)
        assert model.rowCount() == len(document)
    state = model.index_of(("State",))
    assert model.rowCount(state) == 2
    assert model.index_of(("State", "Pid")).parent() == state
    assert not model.index_of(("State", "nothing")).isValid()
