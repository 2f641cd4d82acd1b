"""Saves a bug report with everything, or one of the logs."""

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from desktop.context import AppContext
from desktop.i18n.text import plural, tr
from desktop.session.tasks import Task
from vm.errors import HomeUnusable, HostError
from vm.messages import Message


def save(app: AppContext, target: Path) -> Task:
    """A zip file with checks, logs, settings and versions, known secrets taken out."""
    home = app.link.home

    def work(task: Task) -> int:
        from engine.diagnose.bundle import write_bundle
        from engine.diagnose.run import answers, gathered

        task.report(tr("Collecting information"))
        with gathered(home) as facts:
            results = []
            for result in answers(facts):
                results.append(result)
                task.report(result.title)
            task.report(tr("Collecting logs"))
            try:
                return len(write_bundle(target, facts, tuple(results)))
            except HomeUnusable as error:  # not Galley's own folder: another place was chosen
                text = tr("The report cannot be written to {path}.", path=target)
                hint = tr("Choose another location.")
                raise HostError(Message("", text, hint), details=error.details) from error

    def done(count: int) -> None:
        text = plural(
            "{name} has %n files. Known secrets are removed; check it before you share it.",
            "{name} has %n file. Known secrets are removed; check it before you share it.",
            count,
            name=target.name,
        )
        app.window.toast(tr("The report is saved"), text, (tr("Show in folder"), show))

    def show() -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(target.parent)))

    return app.tasks.start(tr("Save a report"), work, done)


def save_log(app: AppContext, text: str, path: Path) -> Task:
    """`text`: a log of Galley's own, as it is shown."""

    def work(_task: Task) -> str:
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            sentence = tr("The log cannot be written to {path}.", path=path)
            hint = tr("Choose another location, or free some space there.")
            raise HostError(Message("", sentence, hint), details=str(error)) from error
        return str(path)

    return app.tasks.start(tr("Save this log"), work, announce=True)
