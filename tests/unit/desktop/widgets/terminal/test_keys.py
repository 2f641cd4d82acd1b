"""Key presses as the bytes that a terminal sends."""

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent

from desktop.widgets.terminal.keys import key_bytes

Key, Held = Qt.Key, Qt.KeyboardModifier


@pytest.mark.parametrize(
    ("key", "held", "text", "sent"),
    [
        (Key.Key_A, Held.NoModifier, "a", b"a"),
        (Key.Key_A, Held.ShiftModifier, "A", b"A"),
        (Key.Key_A, Held.AltModifier, "a", b"\x1ba"),
        (Key.Key_C, Held.ControlModifier, "\x03", b"\x03"),
        (Key.Key_Space, Held.ControlModifier, " ", b"\0"),
        (Key.Key_BracketRight, Held.ControlModifier, "\x1d", b"\x1d"),
        (Key.Key_Return, Held.NoModifier, "\r", b"\r"),
        (Key.Key_Backspace, Held.NoModifier, "\b", b"\x7f"),
        (Key.Key_Backspace, Held.AltModifier, "\b", b"\x1b\x7f"),
        (Key.Key_Tab, Held.NoModifier, "\t", b"\t"),
        (Key.Key_Backtab, Held.ShiftModifier, "", b"\x1b[Z"),
        (Key.Key_Up, Held.NoModifier, "", b"\x1b[A"),
        (Key.Key_Left, Held.ControlModifier, "", b"\x1b[1;5D"),
        (Key.Key_Home, Held.NoModifier, "", b"\x1b[H"),
        (Key.Key_Delete, Held.NoModifier, "\x7f", b"\x1b[3~"),
        (Key.Key_PageDown, Held.ControlModifier, "", b"\x1b[6;5~"),
        (Key.Key_F1, Held.NoModifier, "", b"\x1bOP"),
        (Key.Key_F4, Held.ShiftModifier, "", b"\x1b[1;2S"),
        (Key.Key_F12, Held.NoModifier, "", b"\x1b[24~"),
        (Key.Key_Udiaeresis, Held.NoModifier, "ü", "ü".encode()),
        (Key.Key_Shift, Held.ShiftModifier, "", b""),
    ],
)
def test_a_key_press_is_sent_as_bytes(
    key: Qt.Key, held: Qt.KeyboardModifier, text: str, sent: bytes
) -> None:
    event = QKeyEvent(QEvent.Type.KeyPress, key, held, text)
    assert key_bytes(event, application_arrows=False) == sent


def test_arrows_in_application_mode() -> None:
    event = QKeyEvent(QEvent.Type.KeyPress, Key.Key_Up, Held.NoModifier)
    assert key_bytes(event, application_arrows=True) == b"\x1bOA"
