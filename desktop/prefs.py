"""The window's own settings: position, size, page, colour scheme, language.

In `window.ini` in this home, so that two instances do not share it. Settings of the engine are the
supervisor's (`settings.toml`).
"""

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings


class Prefs:
    """Typed names over QSettings; a value that makes no sense is the default."""

    def __init__(self, folder: Path) -> None:
        self._store = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)

    @property
    def geometry(self) -> QByteArray:
        value = self._store.value("geometry")
        return value if isinstance(value, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._store.setValue("geometry", value)

    def text(self, name: str, default: str = "") -> str:
        return str(self._store.value(name, default))

    def set_text(self, name: str, value: str) -> None:
        self._store.setValue(name, value)

    def flag(self, name: str, default: bool = False) -> bool:
        return self.text(name, str(default)).lower() == "true"

    def set_flag(self, name: str, value: bool) -> None:
        self.set_text(name, str(value))

    def clear(self) -> None:
        """Remember nothing."""
        self._store.clear()

    def save(self) -> None:
        self._store.sync()
