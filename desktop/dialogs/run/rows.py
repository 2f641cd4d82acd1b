"""Ports, variables and mounts as rows that can be added and removed.

A row that an image has prefilled goes when another image is chosen, unless it was changed. Next:
`form.py`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QVBoxLayout, QWidget

from desktop.dialogs.run import values
from desktop.dialogs.run.values import Wrong
from desktop.i18n.text import tip, tr
from desktop.theme.theme import Theme
from desktop.widgets.basics import button, icon_button, label, row, set_wrong
from desktop.widgets.suggestions import Suggestions
from engine.docker.types import Mount, Port


class FormRow(QWidget):
    """One row: its fields, the remove button, and the error message."""

    def __init__(
        self, theme: Theme, remove: Callable[["FormRow"], object], *items: QWidget
    ) -> None:
        super().__init__()
        self.given: object = None  # the image's default, if it has one
        self.fields = [item for item in items if isinstance(item, QLineEdit)]
        self._wrong: list[QLineEdit] = []
        self.complaint = label("", "error", wrap=True)
        self.complaint.hide()
        self.remove = icon_button(theme, "close", tr("Remove this row"), partial(remove, self))
        takes_tab = Qt.FocusPolicy.TabFocus
        self.stops = [one for one in (*items, self.remove) if one.focusPolicy() & takes_tab]
        fields = row(*items, self.remove, gap=6)
        for number, item in enumerate(items):
            fields.setStretch(number, int(item.property("stretch") or 0))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addLayout(fields)
        box.addWidget(self.complaint)
        for field in self.fields:
            field.textEdited.connect(lambda _text: self.complain(""))

    @property
    def is_empty(self) -> bool:
        return not any(field.text().strip() for field in self.fields)

    @property
    def is_wrong(self) -> bool:
        return not self.complaint.isHidden()

    def complain(self, sentence: str, *fields: QLineEdit) -> None:
        """Mark the fields; "" takes the marks away."""
        self.complaint.setText(sentence)
        self.complaint.setVisible(bool(sentence))
        for field in self.fields:
            set_wrong(field, bool(sentence) and (not fields or field in fields))

    def value(self) -> object:
        """Raises Wrong."""
        raise NotImplementedError

    def checked(self) -> object | None:
        """None where a field is invalid, which is marked and described below."""
        self.complain("")
        self._wrong = []
        try:
            return self.value()
        except Wrong as error:
            self.complain(str(error), *self._wrong)
            return None

    def read[Value](self, field: QLineEdit, read: Callable[[str], Value]) -> Value:
        """A field's value; records which one is invalid."""
        self._wrong = [field]
        return read(field.text())


class PortRow(FormRow):
    def __init__(
        self, theme: Theme, remove: Callable[[FormRow], object], port: Port | None
    ) -> None:
        self.inside = entry(tr("Port in the container"), tr("80"), 90)
        self.protocol = QComboBox()
        self.protocol.addItems(["tcp", "udp", "sctp"])
        self.protocol.setAccessibleName(tr("Protocol"))
        self.address = entry(tr("Address of the host"), tr("all addresses"))
        self.outside = entry(tr("Port of the host"), tr("any free port"), 110)
        super().__init__(
            theme, remove, self.inside, self.protocol, label("→", "secondary"), self.address,
            label(":", "secondary"), self.outside,
        )  # fmt: skip
        if port is not None:
            self.inside.setText(str(port.container_port))
            self.protocol.setCurrentText(port.protocol)
            self.address.setText(port.host_address)
            self.outside.setText(str(port.host_port) if port.host_port > 0 else "")

    def value(self) -> Port:
        return Port(
            self.read(self.inside, values.port_number),
            self.protocol.currentText(),
            self.read(self.address, values.host_address),
            self.read(self.outside, values.free_port),
        )


class VariableRow(FormRow):
    def __init__(
        self, theme: Theme, remove: Callable[[FormRow], object], variable: str | None
    ) -> None:
        self.name = entry(tr("Name of the variable"), tr("NAME"), 180)
        self.content = entry(tr("Value of the variable"), tr("value"))
        super().__init__(theme, remove, self.name, label("=", "secondary"), self.content)
        if variable is not None:
            name, _, content = variable.partition("=")
            self.name.setText(name)
            self.content.setText(content)
            self.content.setCursorPosition(0)

    def fix(self) -> None:
        """It comes from the image: its value can be changed, but it cannot be removed."""
        self.name.setReadOnly(True)
        self.name.setEnabled(False)
        self.remove.setEnabled(False)
        self.remove.setToolTip(tip(tr("The image sets this variable.")))

    def value(self) -> str:
        content = self.content.text()
        return self.read(self.name, lambda name: values.variable(name, content))


class MountRow(FormRow):
    def __init__(
        self,
        theme: Theme,
        remove: Callable[[FormRow], object],
        mount: Mount | None,
        volumes: Sequence[str] = (),
    ) -> None:
        self.kind = mount.kind if mount else ""
        self.source = entry(tr("Volume or folder of the host"), tr("volume or /folder"))
        self.target = entry(tr("Path in the container"), tr("/data"))
        self.read_only = QCheckBox(tr("read-only"))
        super().__init__(
            theme, remove, self.source, label("→", "secondary"), self.target, self.read_only
        )
        self.suggestions = Suggestions(self.source, volumes)
        if mount is not None:
            self.source.setText(mount.source)
            self.target.setText(mount.target)
            self.read_only.setChecked(mount.read_only)
            if mount.kind == "tmpfs":
                self.source.setPlaceholderText(tr("memory (tmpfs)"))
                self.source.setEnabled(False)
            elif not mount.source:
                self.source.setPlaceholderText(tr("a new volume without a name"))

    def value(self) -> Mount:
        kind, source = self.read(self.source, values.mount_source)
        target = self.read(self.target, values.mount_target)
        return Mount(
            self.kind if self.kind == "tmpfs" else kind, source, target, self.read_only.isChecked()
        )


class FormRows[Made: FormRow](QWidget):
    """`make(remove, value)` makes a row; a value of None is an empty one."""

    def __init__(
        self,
        title: str,
        hint: str,
        add: str,
        make: Callable[[Callable[[FormRow], object], object], Made],
    ) -> None:
        super().__init__()
        self.lines: list[Made] = []
        self._make = make
        self._box = QVBoxLayout()
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(6)
        self.add_button = button(add, self.add_empty, "link")
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(6)
        whole.addLayout(row(label(title, "heading"), label(hint, "secondary"), 1, self.add_button))
        whole.addLayout(self._box)

    def add(self, value: object, *, given: bool = False) -> Made:
        made = self._make(self._remove, value)
        made.given = value if given else None
        before: QWidget = self.lines[-1].remove if self.lines else self.add_button
        self.lines.append(made)
        self._box.addWidget(made)
        for stop in made.stops:  # where it stands: Qt puts what is made later behind everything
            QWidget.setTabOrder(before, stop)
            before = stop
        return made

    def add_empty(self) -> None:
        made = self.add(None)
        made.fields[0].setFocus()

    def forget_given(self) -> None:
        """Remove rows that an image had prefilled and that were not changed."""
        for line in list(self.lines):
            if line.given is not None and self._is_as_given(line):
                self._remove(line)

    def read(self) -> list[object] | None:
        """The values of the rows that are not empty; None where one is wrong."""
        for line in self.lines:
            line.complain("")
        found = [line.checked() for line in self.lines if not line.is_empty]
        return None if None in found else found

    def _is_as_given(self, line: Made) -> bool:
        try:
            return line.value() == line.given
        except Wrong:
            return False

    def _remove(self, line: FormRow) -> None:
        had_focus = self.window().focusWidget() in line.stops
        place = next(number for number, one in enumerate(self.lines) if one is line)
        del self.lines[place]
        self._box.removeWidget(line)
        line.deleteLater()
        if had_focus:  # else keep the focus: an image may remove its rows while the user types
            near = self.lines[min(place, len(self.lines) - 1)].fields[0] if self.lines else None
            (near or self.add_button).setFocus()


def entry(name: str, example: str, width: int = 0) -> QLineEdit:
    """`name` is read aloud, `example` stands in it while it is empty."""
    made = QLineEdit(placeholderText=example)
    made.setAccessibleName(name)
    made.setToolTip(tip(name))
    if width:
        made.setFixedWidth(width)
    else:
        made.setProperty("stretch", 1)
    return made
