"""What Esc leaves, level by level: the text of a field, the field, a file, a detail. Next:
`desktop/window.py`, which handles the key.
"""

from typing import Protocol, runtime_checkable

from PySide6.QtWidgets import QLineEdit, QWidget


@runtime_checkable
class Levels(Protocol):
    """`step_out` leaves the innermost level; False where there is none left inside this."""

    def step_out(self) -> bool: ...


def step_out_of(field: QLineEdit, then: QWidget) -> bool:
    """Clear a filter or a search, then leave it for `then`."""
    if field.text():
        field.clear()
        return True
    if field.hasFocus():
        then.setFocus()
        return True
    return False
