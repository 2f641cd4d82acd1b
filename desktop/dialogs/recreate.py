"""Recreates a container with changes.

The form is filled from its configuration. Next: `engine/docker/recreate.py`, which applies changes
and restores the old one on failure.
"""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit

from desktop.actions import containers as actions
from desktop.context import AppContext
from desktop.dialogs.run.form import RunForm
from desktop.dialogs.run.frame import RunFrame
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.widgets.basics import row
from engine.docker.types import Container, ContainerDetail, RunSpec
from vm.errors import Problem


class RecreateDialog(RunFrame):
    def __init__(self, app: AppContext, container: Container) -> None:
        super().__init__(
            app.window.widget,
            tr("Recreate {name}", name=container.name),
            tr("Recreate"),
            tr(
                "Docker cannot change these settings of a container, so a new one is created "
                "from the same image. The old one is kept until the new one runs. Volumes are "
                "reused; files outside volumes are lost."
            ),
        )
        self.app = app
        self.container = container
        self.before: RunSpec | None = None
        self.form = RunForm(app, container.id)
        self._lay_out()
        self.resize(660, 520)
        self.questions.setEnabled(False)
        self.agree.setEnabled(False)
        self.note.setText(tr("Reading…"))
        connection = app.connection
        app.tasks.quietly(
            lambda: connection.client.containers.detail(container.id), self._fill, self._fail
        )

    def submit(self) -> None:
        if self.before is None:
            return
        spec = self.form.read(self.before)
        if spec is None:
            wrong = next(
                (one for one in self.findChildren(QLineEdit) if one.property("wrong")), None
            )
            if wrong is not None:
                wrong.setFocus()
                self.area.ensureWidgetVisible(wrong)
            return
        if spec == self.before:
            self.complain(tr("Nothing is changed yet."))
            return
        self.follow(actions.recreate(self.app, self.container, spec, self.granted, self.refused))

    def _fill(self, detail: ContainerDetail) -> None:
        if self.is_left:
            return
        self.note.setText("")
        self.before = detail.spec
        self.form.fill(detail.spec)
        if detail.spec.auto_remove:
            self.complain(
                tr("This container is deleted as soon as it stops. Run its image again instead.")
            )
            return
        self.questions.setEnabled(True)
        self.agree.setEnabled(True)

    def _fail(self, problem: Problem) -> None:
        if not self.is_left:
            self.note.setText("")
            self.complain(messages.told(problem, "\n"))

    def _lay_out(self) -> None:
        form = self.form
        last = row(form.restart.layout, form.cpus.layout, form.memory.layout, gap=12)
        for number, part in enumerate((form.restart, form.cpus, form.memory)):
            last.setStretch(number, 1)
            last.setAlignment(part.layout, Qt.AlignmentFlag.AlignTop)
        for rows in (form.ports, form.env, form.mounts):
            self.asked.addWidget(rows)
        self.asked.addLayout(last)
        self.asked.addStretch(1)
