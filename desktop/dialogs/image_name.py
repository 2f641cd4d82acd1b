"""Asks for the name of an image, and validates it while it is typed. For pull, tag, push and
import.
"""

import re
from collections.abc import Callable

from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.dialogs.form import FormDialog
from desktop.i18n.text import tr

PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?"
NAME = re.compile(rf"(?:{HOST}/)?{PART}(?:/{PART})*")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
DIGEST = re.compile(r"[a-z0-9+._-]+:[0-9a-fA-F]{32,}")
COMMANDS = re.compile(r"^(?:\$\s*)?(?:docker|podman)\s+(?:image\s+)?(?:pull|push)\s+")


def tidy(typed: str) -> str:
    """Without white space and prefixes of copied names."""
    text = COMMANDS.sub("", typed.strip())
    return re.sub(r"^https?://", "", text)


def what_is_wrong(name: str, *, digest: bool = True) -> str:
    """A sentence, "" when it is a name. `digest`: one may stand behind an @."""
    if re.search(r"\s", name):
        return tr("A name has no spaces.")
    head, at, end = name.partition("@")
    if at and not digest:
        return tr("Enter a name and a tag, not a digest.")
    if at and not DIGEST.fullmatch(end):
        return tr("After @, enter a digest, for example sha256:… with 64 digits.")
    path, colon, tag = head.rpartition(":")
    if not colon or "/" in tag:
        path, colon, tag = head, "", ""
    if colon and not TAG.fullmatch(tag):
        return tr("After the last colon, enter a tag: letters, digits, dots and dashes.")
    if NAME.fullmatch(path):
        return ""
    if NAME.fullmatch(path.lower()):
        return tr("The name of an image is in lower case.")
    return tr("This is not a name. Examples: nginx, nginx:1.27, example.com/team/app:1")


class ImageNameDialog(FormDialog):
    """Calls `then` with a name that can be one. `given` is what stands there at first."""

    def __init__(
        self,
        parent: QWidget,
        title: str,
        explanation: str,
        agree: str,
        then: Callable[[str], object],
        given: str = "",
        *,
        digest: bool = False,
    ) -> None:
        super().__init__(parent, title, agree, explanation)
        self._digest = digest
        self._then = then
        self.edit = QLineEdit(given, placeholderText=tr("name:tag"))
        example = tr("For example nginx, nginx:1.27 or example.com/team/app:1")
        self.field = self.add_field(tr("Name of the image"), self.edit, example)
        self.edit.textChanged.connect(self._check)
        self._check()
        self.edit.selectAll()
        self.edit.setFocus()

    @property
    def name(self) -> str:
        return tidy(self.edit.text())

    def send(self) -> bool:
        if not self.name or self._check():
            return False
        self._then(self.name)
        self.accept()
        return True

    def _check(self, _text: str = "") -> bool:
        """An empty name is not marked as an error, but cannot be submitted."""
        sentence = what_is_wrong(self.name, digest=self._digest) if self.name else ""
        wrong = self.field.complain(sentence)
        self.agree.setEnabled(bool(self.name) and not wrong)
        self.adjustSize()
        return wrong
