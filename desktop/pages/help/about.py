"""About Galley: versions, folders, and the reset to factory settings."""

import platform

from PySide6 import __version__ as qt_version
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop.actions import engine
from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.session.image_words import image_age, image_checked, image_news
from desktop.session.tasks import Task
from desktop.widgets.basics import button, card, column, holder, label, row, scrolled
from desktop.widgets.copy_line import CopyLine
from engine import __version__


class AboutView(QWidget):
    def __init__(self, app: AppContext) -> None:
        super().__init__()
        self._app = app
        self.lines = {
            "galley": CopyLine(tr("Galley")),
            "engine": CopyLine(tr("Engine")),
            "backend": CopyLine(tr("Machine")),
            "image": CopyLine(tr("Guest image")),
            "system": CopyLine(tr("System")),
            "folder": CopyLine(tr("Folder")),
        }
        home = str(app.link.home.root)
        self.open_folder = button(
            tr("Open the folder"),
            lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(home)),
            "link",
        )
        self.reset = button(tr("Reset Galley…"), self._ask, "danger")
        facts = column(label(tr("Versions"), "heading"), *self.lines.values(), gap=0)
        facts.addLayout(row(1, self.open_folder))
        whole = column(card(facts), card(self._reset_box()), 1, gap=12)
        self.setLayout(column(scrolled(holder(whole))))
        app.link.changed.connect(self._look)
        app.connection.changed.connect(self._look)

    def _reset_box(self) -> QHBoxLayout:
        about = tr(
            "Deletes the virtual machine with everything in it, and all settings, as before the "
            "first start."
        )
        words = column(label(tr("Reset"), "heading"), label(about, "secondary", wrap=True))
        box = row(words, self.reset, gap=16)
        box.setStretch(0, 1)
        return box

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._look()

    def _look(self) -> None:
        status = self._app.link.status
        self.lines["galley"].say(__version__)
        python = platform.python_version()
        self.lines["system"].say(f"{platform.platform()} · Python {python} · Qt {qt_version}")
        self.lines["folder"].say(str(self._app.link.home.root))
        if status is None:
            self.lines["engine"].say("")
            self.lines["backend"].say("")
            self.lines["image"].say("")
            return
        health, machine = status.engine, status.machine
        version = tr("Docker {version} · API {api}", version=health.version, api=health.api)
        self.lines["engine"].say(version if health.reachable else "")
        image = status.image
        about = (image_age(image), image_news(image), image_checked(image)) if image else ()
        self.lines["image"].say(" · ".join(filter(None, about)))
        accelerator = machine.accelerator
        parts = [machine.backend, accelerator.name if accelerator else ""]
        self.lines["backend"].say(" · ".join(filter(None, parts)))

    def _ask(self) -> None:
        engine.reset(self._app, self._resetting)

    def _resetting(self, task: Task) -> None:
        self.reset.setEnabled(False)
        task.changed.connect(lambda: self.reset.setEnabled(task.state.is_over))
