"""Making a volume: empty, as a copy of another, or from a tar file."""

import re
from pathlib import Path

from PySide6.QtWidgets import QComboBox, QLineEdit, QPlainTextEdit, QRadioButton, QWidget

from desktop.actions import volumes as actions
from desktop.context import AppContext
from desktop.dialogs.choose_file import ask_open
from desktop.dialogs.form import FormDialog
from desktop.i18n.text import tr
from desktop.widgets.basics import button, holder, row
from engine.docker.types import Volume

DRIVER = "local"  # Docker's own
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def wrong_name(app: AppContext, name: str) -> str:
    """What is wrong with the name of a new volume, as a sentence."""
    if not NAME.fullmatch(name):
        return tr("Two or more letters, digits and . _ -, and a letter or digit first.")
    if name in app.stores.volumes.rows:
        return tr("There is a volume of this name already.")
    return ""


def read_labels(text: str) -> tuple[list[tuple[str, str]], str]:
    """Labels from lines of NAME=value, and the first line that is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = next((line for line in lines if line.startswith("=")), "")
    pairs = [line.partition("=") for line in lines]
    return [(name.strip(), value) for name, _, value in pairs], wrong


class CreateVolumeDialog(FormDialog):
    def __init__(self, app: AppContext, parent: QWidget) -> None:
        super().__init__(parent, tr("Create a volume"), tr("Create"))
        self._app = app
        self.name = QLineEdit()
        self.driver = QLineEdit(DRIVER)
        self.labels = QPlainTextEdit(placeholderText=tr("NAME=value, one per line"))
        self.labels.setFixedHeight(64)
        self.labels.setTabChangesFocus(True)
        self._name = self.add_field(tr("Name"), self.name)
        self._driver = self.add_field(
            tr("Driver"), self.driver, tr("local, or a plugin of the engine")
        )
        self._labels = self.add_field(tr("Labels"), self.labels)
        self.name.setFocus()

    def send(self) -> bool:
        name = self.name.text().strip()
        labels, wrong = read_labels(self.labels.toPlainText())
        sentence = tr("A label needs a name before its =: {line}", line=wrong) if wrong else ""
        complaints = [
            self._name.complain(wrong_name(self._app, name)),
            self._labels.complain(sentence),
        ]
        if any(complaints):
            return False
        driver = self.driver.text().strip()
        actions.create(self._app, name, driver, labels, self.granted, self.refused)
        return True


class CloneVolumeDialog(FormDialog):
    """Closes when the copying has begun; the task shows its progress."""

    def __init__(self, app: AppContext, volume: Volume, parent: QWidget) -> None:
        title = tr("Clone {name}", name=volume.name)
        explanation = tr("A new volume with a copy of all files, their owners and modes.")
        if any(user.state.is_up for user in app.stores.users_of_volume(volume.name)):
            explanation += " " + tr("A running container may change files while they are copied.")
        super().__init__(parent, title, tr("Clone"), explanation)
        self._app = app
        self._volume = volume
        self.name = QLineEdit(tr("{name}-copy", name=volume.name))
        self._name = self.add_field(tr("Name of the new volume"), self.name)
        self.name.selectAll()
        self.name.setFocus()

    def send(self) -> bool:
        name = self.name.text().strip()
        if self._name.complain(wrong_name(self._app, name)):
            return False
        show = (tr("Browse"), lambda: self._app.window.go("volumes", name, "files"))
        title = tr("{name} was cloned", name=self._volume.name)
        actions.clone(
            self._app,
            self._volume,
            name,
            lambda _outcome: self._app.window.toast(title, name, show),
            lambda _problem: False,
        )
        self.accept()
        return True


class ImportVolumeDialog(FormDialog):
    """`into`: a volume to begin with, "" for a new one."""

    def __init__(self, app: AppContext, parent: QWidget, path: Path, into: str = "") -> None:
        super().__init__(parent, tr("Import a tar file"), tr("Import"))
        self._app = app
        self.path = QLineEdit(str(path))
        choose = button(tr("Choose…"), self._choose)
        whole = holder(row(self.path, choose))
        whole.setFocusProxy(self.path)
        self._path = self.add_field(tr("Tar file"), whole)
        self.path.setAccessibleName(tr("Tar file"))
        self.new = QRadioButton(tr("Into a new volume"))
        self.old = QRadioButton(tr("Into an existing volume"))
        self.name = QLineEdit(path.name.partition(".")[0])
        self.existing = QComboBox()
        self.existing.addItems(sorted(app.stores.volumes.rows))
        self.existing.setCurrentText(into)
        self.old.setEnabled(self.existing.count() > 0)
        self.fields.addWidget(self.new)
        self._name = self.add_field(tr("Name of the new volume"), self.name)
        self.fields.addWidget(self.old)
        self._existing = self.add_field(tr("Volume"), self.existing)
        self.new.toggled.connect(self._choose_target)
        (self.old if into else self.new).setChecked(True)
        self._choose_target(not into)
        (self.existing if into else self.name).setFocus()

    @property
    def target(self) -> str:
        return self.name.text().strip() if self.new.isChecked() else self.existing.currentText()

    def send(self) -> bool:
        path = Path(self.path.text().strip()).expanduser()
        missing = "" if path.is_file() else tr("There is no file of this name.")
        wrong = wrong_name(self._app, self.target) if self.new.isChecked() else ""
        complaints = [self._path.complain(missing), self._name.complain(wrong)]
        if any(complaints):
            return False
        if self.new.isChecked():
            self._begin(path)
        else:
            actions.overwriting(self._app, self.target, path, lambda: self._begin(path))
            return False  # it stays open behind the question
        return True

    def _begin(self, path: Path) -> None:
        actions.import_tar(self._app, self.target, path)
        self.accept()

    def _choose_target(self, new: bool) -> None:
        self._name.complain("")
        self._name.set_visible(new)
        self._existing.set_visible(not new)
        self.fit()

    def _choose(self) -> None:
        filters = tr("Tar files ({patterns})", patterns="*.tar *.tar.gz *.tgz *.tar.xz *.tar.zst")
        ask_open(self, tr("Choose a tar file"), filters, lambda path: self.path.setText(str(path)))
