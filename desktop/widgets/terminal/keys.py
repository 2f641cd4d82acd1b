"""The bytes that xterm sends for keys. Next: `view.py`."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

_Key = Qt.Key
_ARROWS = {_Key.Key_Up: "A", _Key.Key_Down: "B", _Key.Key_Right: "C", _Key.Key_Left: "D"}
_ENDS = {_Key.Key_Home: "H", _Key.Key_End: "F"}
_FIRST = {_Key.Key_F1: "P", _Key.Key_F2: "Q", _Key.Key_F3: "R", _Key.Key_F4: "S"}
_NUMBERED = {
    _Key.Key_Insert: 2,
    _Key.Key_Delete: 3,
    _Key.Key_PageUp: 5,
    _Key.Key_PageDown: 6,
    _Key.Key_F5: 15,
    _Key.Key_F6: 17,
    _Key.Key_F7: 18,
    _Key.Key_F8: 19,
    _Key.Key_F9: 20,
    _Key.Key_F10: 21,
    _Key.Key_F11: 23,
    _Key.Key_F12: 24,
}
_SINGLE = {
    _Key.Key_Return: "\r",
    _Key.Key_Enter: "\r",
    _Key.Key_Backspace: "\x7f",
    _Key.Key_Tab: "\t",
    _Key.Key_Backtab: "\x1b[Z",
    _Key.Key_Escape: "\x1b",
}
_CONTROL = {
    _Key.Key_Space: "\0",
    _Key.Key_At: "\0",
    _Key.Key_BracketLeft: "\x1b",
    _Key.Key_Backslash: "\x1c",
    _Key.Key_BracketRight: "\x1d",
    _Key.Key_AsciiCircum: "\x1e",
    _Key.Key_Underscore: "\x1f",
    _Key.Key_Slash: "\x1f",
    _Key.Key_Backspace: "\x08",
}


def key_bytes(event: QKeyEvent, application_arrows: bool) -> bytes:
    """The bytes of a key press; b"" for none."""
    held = event.modifiers()
    shift = bool(held & Qt.KeyboardModifier.ShiftModifier)
    alt = bool(held & Qt.KeyboardModifier.AltModifier)
    control = bool(held & Qt.KeyboardModifier.ControlModifier)
    key = _Key(event.key())
    moved = _moving(key, 1 + shift + 2 * alt + 4 * control, application_arrows)
    if moved:
        return moved.encode()
    text = _controlled(key) if control else ""
    text = text or _SINGLE.get(key, "") or event.text()
    return (f"\x1b{text}" if alt and text else text).encode()


def _moving(key: Qt.Key, held: int, application_arrows: bool) -> str:
    """Arrows, Home, End, and the keys that have a number."""
    letter = _ARROWS.get(key) or _ENDS.get(key)
    if letter:
        if held > 1:
            return f"\x1b[1;{held}{letter}"
        return f"\x1b{'O' if application_arrows else '['}{letter}"
    if key in _FIRST:
        return f"\x1bO{_FIRST[key]}" if held == 1 else f"\x1b[1;{held}{_FIRST[key]}"
    if key in _NUMBERED:
        number = _NUMBERED[key]
        return f"\x1b[{number}~" if held == 1 else f"\x1b[{number};{held}~"
    return ""


def _controlled(key: Qt.Key) -> str:
    if _Key.Key_A.value <= key.value <= _Key.Key_Z.value:
        return chr(key.value - _Key.Key_A.value + 1)
    return _CONTROL.get(key, "")
