"""The editors of settings, one for each kind.

An editor emits `given` when the user enters a value, and `doubted` with an error (or "") while
typing. It keeps what was typed until `show_value`. Next: `fields.py`.
"""

from bisect import bisect_left
from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSlider, QWidget

from desktop.dialogs.choose_file import ask_folder
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.widgets.basics import button, column, holder, row
from desktop.widgets.elided import Elided
from engine.settings.proxy_address import split
from engine.settings.setting import GIB, Kind, Setting, Value
from vm.errors import SettingsError

SETTLE_MS = 400  # after the last move of a slider
NUMBER_WIDTH = 88
EDITOR_WIDTH = 300
FEW_STOPS = 64


class Editor(QWidget):
    """`field`: what gets the focus and the name that is read aloud."""

    given = Signal(object)  # Value
    doubted = Signal(str)

    def __init__(self, setting: Setting, field: QWidget) -> None:
        super().__init__()
        self.setting = setting
        self.field = field
        field.setAccessibleName(tr(setting.label))
        field.setAccessibleDescription(tr(setting.help))
        self.setFixedWidth(EDITOR_WIDTH)
        self.setFocusProxy(field)

    def show_value(self, value: Value) -> None:
        """Show the current value."""
        raise NotImplementedError

    def mark(self, wrong: bool) -> None:
        """Mark the value as refused, or remove the mark."""
        self.field.setProperty("wrong", wrong)
        self.field.style().unpolish(self.field)
        self.field.style().polish(self.field)


class LineEditor(Editor):
    """Text and addresses; validated while typing, entered with Enter or when the focus leaves."""

    def __init__(self, setting: Setting) -> None:
        self.line = QLineEdit()
        super().__init__(setting, self.line)
        self._value: Value = setting.default
        self.line.textEdited.connect(self._check)
        self.line.editingFinished.connect(self._finish)
        self.setLayout(row(self.line))

    def show_value(self, value: Value) -> None:
        self._value = value
        self.line.setText(self.setting.text(value))

    def _check(self, text: str) -> None:
        try:
            self._edited(self.setting.parse(text))
        except SettingsError:
            self._doubt()
        else:
            self.mark(False)
            self.doubted.emit("")

    def _edited(self, value: Value) -> None:
        """A valid value was typed; for editors that show it in another way too."""

    def _doubt(self) -> None:
        self.mark(True)
        self.doubted.emit(tr("It must be {allowed}.", allowed=messages.said(self.setting.allowed)))

    def _finish(self) -> None:
        try:
            value = self.setting.parse(self.line.text())
        except SettingsError:
            self._doubt()
            return
        if value != self._value:
            self._value = value
            self.given.emit(value)


class ProxyEditor(LineEditor):
    """Hides a typed password, which goes to the keyring."""

    def _finish(self) -> None:
        super()._finish()
        if not self.line.property("wrong"):
            self._value, _ = split(str(self._value))
            self.line.setText(self._value)


class NumberEditor(LineEditor):
    """A slider over round values, and a line for every other."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.stops = stops(setting)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(self.stops) - 1)
        self.slider.setAccessibleName(tr(setting.label))
        self.slider.setPageStep(max(1, len(self.stops) // 10))
        self.slider.valueChanged.connect(self._slid)
        _calm(self.slider)
        self.line.setFixedWidth(NUMBER_WIDTH)
        self.line.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._finish)
        box = self.layout()
        assert box is not None
        box.removeWidget(self.line)
        box.addWidget(self.slider)
        box.addWidget(self.line)

    def show_value(self, value: Value) -> None:
        self._settle.stop()
        super().show_value(value)
        self._edited(value)

    def _edited(self, value: Value) -> None:
        assert isinstance(value, int)
        self.slider.blockSignals(True)
        self.slider.setValue(min(bisect_left(self.stops, value), len(self.stops) - 1))
        self.slider.blockSignals(False)

    def _slid(self, position: int) -> None:
        self.line.setText(self.setting.text(self.stops[position]))
        self.mark(False)
        self.doubted.emit("")
        self._settle.start()


class ChoiceEditor(Editor):
    def __init__(self, setting: Setting) -> None:
        self.box = QComboBox()
        super().__init__(setting, self.box)
        self.box.addItems(setting.choices)
        self.box.textActivated.connect(self.given.emit)
        _calm(self.box)
        self.setLayout(row(self.box))

    def show_value(self, value: Value) -> None:
        self.box.setCurrentText(str(value))


class SwitchEditor(Editor):
    def __init__(self, setting: Setting) -> None:
        self.box = QCheckBox()
        super().__init__(setting, self.box)
        self.box.toggled.connect(lambda on: self.box.setText(tr("On") if on else tr("Off")))
        self.box.clicked.connect(lambda on: self.given.emit(on))
        self.setLayout(row(self.box, 1))

    def show_value(self, value: Value) -> None:
        self.box.setChecked(bool(value))
        self.box.setText(tr("On") if value else tr("Off"))


class FoldersEditor(Editor):
    """A list of folders, each with a button that removes it, and a button that adds one."""

    def __init__(self, setting: Setting) -> None:
        self.add = button(tr("Add a folder…"), self._ask)
        super().__init__(setting, self.add)
        self._value: tuple[str, ...] = ()
        self._list = column(gap=4)
        self.setLayout(column(self._list, row(self.add, 1)))

    def show_value(self, value: Value) -> None:
        assert isinstance(value, tuple)
        self._value = value
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for path in value:
            name = tr("Remove {folder}", folder=path)
            remove = button(tr("Remove"), partial(self._remove, path), "link", name=name)
            line = row(Elided(path), remove)
            line.setStretch(0, 1)
            self._list.addWidget(holder(line))

    def _ask(self) -> None:
        ask_folder(self, tr(self.setting.label), lambda path: self._give((*self._value, str(path))))

    def _remove(self, path: str) -> None:
        self.add.setFocus()
        self._give(tuple(kept for kept in self._value if kept != path))

    def _give(self, value: tuple[str, ...]) -> None:
        self.show_value(tuple(dict.fromkeys(value)))
        self.given.emit(self._value)


def editor(setting: Setting) -> Editor:
    match setting.kind:
        case Kind.PATHS:
            return FoldersEditor(setting)
        case Kind.COUNT | Kind.SIZE:
            return NumberEditor(setting)
        case Kind.CHOICE:
            return ChoiceEditor(setting)
        case Kind.SWITCH:
            return SwitchEditor(setting)
        case Kind.PROXY:
            return ProxyEditor(setting)
    return LineEditor(setting)


def stops(setting: Setting) -> tuple[int, ...]:
    """The values that a slider stops at: every step where they are few; else steps that grow with
    the value, an eighth at most, so that 64 GiB and 16 TiB fit on one slider."""
    step = GIB if setting.kind is Kind.SIZE else 1
    if (setting.maximum - setting.minimum) // step <= FEW_STOPS:
        within = range(setting.minimum, setting.maximum + 1, step)
        return tuple(dict.fromkeys((*within, setting.maximum)))
    found, value = [], setting.minimum
    while value < setting.maximum:
        found.append(value)
        width = step
        while width * 16 <= value:
            width *= 2
        value = (value // width + 1) * width
    return (*found, setting.maximum)


class _CalmWheel(QObject):
    """Turning the wheel over a field scrolls the page, unless the field has the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() != QEvent.Type.Wheel or not isinstance(watched, QWidget):
            return False
        if watched.hasFocus():
            return False
        event.ignore()
        return True


def _calm(widget: QWidget) -> None:
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_CalmWheel(widget))


def calm_box() -> QComboBox:
    """A choice that the wheel does not change by accident."""
    made = QComboBox()
    made.setMinimumWidth(EDITOR_WIDTH)
    _calm(made)
    return made
