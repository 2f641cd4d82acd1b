"""The report for whoever is to help: asked where to, written, shown."""

import time
from functools import partial
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from desktop.context import AppContext
from desktop.dialogs.choose_file import ask_save
from desktop.i18n.text import plural, tr
from desktop.session.tasks import Task
from vm.errors import HomeUnusable, HostError


def save_bundle(app: AppContext, parent: QWidget) -> None:
    name = time.strftime("galley-report-%Y%m%d-%H%M.zip")
    ask_save(parent, tr("Save a report"), name, "zip", partial(write, app))


def write(app: AppContext, target: Path) -> Task:
    home = app.link.home

    def work(task: Task) -> int:
        from engine.diagnose.bundle import write_bundle
        from engine.diagnose.run import answers, gathered

        task.report(tr("Looking around"))
        with gathered(home) as facts:
            results = []
            for result in answers(facts):
                results.append(result)
                task.report(result.title)
            task.report(tr("Collecting logs"))
            try:
                return len(write_bundle(target, facts, tuple(results)))
            except HomeUnusable as error:  # not Galley's own folder: another place was chosen
                said = tr("The report cannot be written to {path}.", path=target)
                hint = tr("Choose another place.")
                raise HostError(said, hint, details=error.details) from error

    def done(count: int) -> None:
        said = plural(
            count,
            "{name} has {n} file, with known secrets taken out. Have a look before you share it.",
            "{name} has {n} files, with known secrets taken out. Have a look before you share it.",
            name=target.name,
        )
        app.window.toast(tr("The report is saved"), said, (tr("Show in folder"), show))

    def show() -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(target.parent)))

    return app.tasks.start(tr("Save a report"), work, done)
