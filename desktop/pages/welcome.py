"""The first run: what Galley is, what will run the engine, its first start, and a first container.

The window shows it once, in place of an empty list (`engine_state.is_first_run`); the user leaves
it by the sidebar or by the buttons at the end. Nothing starts without a click.
"""

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QVBoxLayout

from desktop.actions import containers, engine
from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import plural, seconds, size, tr
from desktop.pages.page import Page
from desktop.session.engine_state import runs_on
from desktop.session.link import EngineRequest
from desktop.session.tasks import Task
from desktop.theme import icons
from desktop.widgets.basics import button, card, column, holder, label, row, scrolled
from desktop.widgets.chart.timeline import Timeline, total
from desktop.widgets.copy_line import CopyLine
from desktop.widgets.problem_card import ProblemCard
from engine.docker.types import Port, RunSpec
from engine.dockercli.context import is_current
from engine.settings.schema import Settings
from engine.settings.store import SettingsStore
from vm.errors import Problem
from vm.types import MachineState, Status

WIDTH = 640
FIRST = RunSpec("nginx", "first", ports=(Port(80, host_port=8080),))
FIRST_COMMAND = "run -d --name first -p 8080:80 nginx"


class WelcomePage(Page):
    def __init__(self, app: AppContext) -> None:
        super().__init__(app, tr("Welcome"))
        bar = self.title_label.parentWidget()
        if bar is not None:
            bar.hide()
        self._task: Task | None = None
        self._problem: Problem | None = None  # why the start failed, if no status has it
        self._shown_problem: Problem | None = None
        self._troubles = QVBoxLayout()
        self.start = button(tr("Start the engine"), self._start, "primary")
        self.cancel = button(tr("Cancel"), self._cancel, "link", name=tr("Cancel the start"))
        self.run = button(
            tr("Run it here"), self._run_first, "primary", name=tr("Run a web server")
        )
        self.timeline = Timeline(app.theme)
        self.steps_title = label("", "heading")
        self.backend = label("", wrap=True)
        self.reason = label("", "secondary", wrap=True, select=True)
        self.extent = label("", "secondary", wrap=True)
        self.command = CopyLine(tr("Command"))
        self.choice = self._choice_card()
        self.steps = self._steps_card()
        self.first = self._first_card()
        self._lay_out()
        app.link.changed.connect(self._show)
        app.connection.changed.connect(self._show)
        app.tasks.ended.connect(self._task_ended)
        self._show()

    # The parts

    def _head(self) -> QVBoxLayout:
        mark = label()
        mark.setPixmap(icons.app_icon().pixmap(QSize(56, 56)))
        words = label(
            tr(
                "Galley runs Linux containers on this computer, in a small virtual machine of its "
                "own. It is free and open source, and it works with the docker command you know."
            ),
            wrap=True,
        )
        title = label(tr("Welcome to Galley"), "title")
        box = row(mark, column(title, words, gap=4), gap=16)
        box.setStretch(1, 1)
        box.setAlignment(mark, Qt.AlignmentFlag.AlignTop)
        return column(box)

    def _choice_card(self) -> QFrame:
        change = button(tr("Change the settings"), lambda: self.app.window.go("settings"), "link")
        heading = row(label(tr("Virtual machine"), "heading"), 1, change)
        return card(column(heading, self.backend, self.reason, self.extent, gap=4))

    def _steps_card(self) -> QFrame:
        return card(column(row(self.steps_title, 1, self.cancel), self.timeline))

    def _first_card(self) -> QFrame:
        other = button(tr("Run something else…"), self._run_other)
        go = button(tr("Show the containers"), lambda: self.app.window.go("containers"))
        return card(
            column(
                label(tr("Your first container"), "heading"),
                label(
                    tr(
                        "A web server that answers on port 8080 of this computer, run from here "
                        "or with this command in a terminal."
                    ),
                    "secondary",
                    wrap=True,
                ),
                self.command,
                row(self.run, other, go, 1),
                gap=12,
            )
        )

    def _lay_out(self) -> None:
        inner = column(
            self._head(),
            self._troubles,
            self.first,
            self.choice,
            row(self.start, 1),
            self.steps,
            gap=16,
        )
        inner.setContentsMargins(0, 48, 0, 24)
        middle = holder(inner)
        middle.setMaximumWidth(WIDTH)
        whole = row(1, middle, 1, gap=0)
        whole.setStretch(1, 100)
        whole.setContentsMargins(24, 0, 24, 0)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.addWidget(scrolled(holder(column(whole, 1))))

    # Page

    def shown(self) -> None:
        self._show()
        if self.start.isVisible():
            self.start.setFocus()
        home = self.app.link.home
        self.app.tasks.quietly(lambda: SettingsStore(home).load(), self._show_size)

    # Actions

    def _start(self) -> None:
        self._problem = None
        self._task = engine.start(self.app, self._failed)
        self._show()

    def _cancel(self) -> None:
        if self._task is not None:
            self.cancel.setEnabled(False)
            self._task.cancel.set()

    def _failed(self, problem: Problem) -> bool:
        """Shown here until it is solved; a toast would disappear."""
        self._problem = problem
        return self.isVisible()

    def _task_ended(self, task: Task) -> None:
        if task is self._task:
            self._task = None
            self._show()

    def _run_first(self) -> None:
        containers.run(self.app, FIRST)

    def _run_other(self) -> None:
        from desktop.dialogs.run.dialog import RunDialog

        RunDialog(self.app).open()

    # State

    def _show(self) -> None:
        status = self.app.link.status
        machine = status.machine if status else None
        state = machine.state if machine else None
        asked = self._task is not None or self.app.link.requested is EngineRequest.START
        starting = asked or state is MachineState.STARTING
        up = (state is not None and state.is_up) or self.app.link.auto_suspended
        ready = up and not asked and self.app.connection.is_up
        problem = None if starting else self._current_problem(machine)
        had_focus = any(one.hasFocus() for one in (self, self.start, self.cancel))
        self._show_choice(machine)
        self._show_problem(problem)
        idle = state in (None, MachineState.ABSENT, MachineState.STOPPED) and not up
        self.start.setVisible(idle and not starting and problem is None)
        self._show_steps(machine, starting)
        if ready and not self.command.value.whole:
            self._look_for_context()
        self.first.setVisible(ready)
        if had_focus:
            self._keep_focus()

    def _keep_focus(self) -> None:
        """Focus the next button if the focused one is hidden: Qt would choose a distant widget."""
        buttons = (self.start, self.cancel, self.run)
        next((one for one in buttons if one.isVisible()), self).setFocus()

    def _current_problem(self, machine: Status | None) -> Problem | None:
        if machine is None:
            return self.app.link.problem
        if machine.problem is not None:
            return machine.problem
        return None if machine.state.is_up else self._problem

    def _show_problem(self, problem: Problem | None) -> None:
        if problem == self._shown_problem:
            return
        self._shown_problem = problem
        while self._troubles.count():
            item = self._troubles.takeAt(0)
            old = item.widget() if item is not None else None
            if old is not None:
                old.hide()
                old.deleteLater()
        if problem is not None:
            again = button(tr("Try again"), self._start, "primary")
            self._troubles.addWidget(ProblemCard(self.app.theme, problem, again))

    def _show_choice(self, machine: Status | None) -> None:
        self.choice.setVisible(machine is not None)
        if machine is None:
            return
        accelerator = machine.accelerator
        self.backend.setText(runs_on(machine))
        self.reason.setText(
            messages.said(accelerator.text)
            if accelerator is not None
            else tr("The first start tests which hardware acceleration this computer has.")
        )

    def _show_size(self, settings: Settings) -> None:
        self.extent.setText(
            plural(
                "%n CPUs, at most {memory} of memory, a disk that grows up to {disk}.",
                "%n CPU, at most {memory} of memory, a disk that grows up to {disk}.",
                settings.cpus,
                memory=size(settings.memory),
                disk=size(settings.disk),
            )
        )

    def _show_steps(self, machine: Status | None, starting: bool) -> None:
        failed = not starting and machine is not None and machine.state is MachineState.FAILED
        boot = machine.boot if machine is not None else ()
        self.timeline.show_boot(boot, failed)
        self.steps.setVisible(starting or bool(boot))
        self.cancel.setVisible(starting and self._task is not None)
        self.cancel.setEnabled(self._task is not None and not self._task.cancel.is_set)
        if starting:
            self.steps_title.setText(tr("Starting the engine…"))
        elif failed:
            self.steps_title.setText(tr("The start did not finish"))
        else:
            self.steps_title.setText(
                tr("The engine is ready after {time}", time=seconds(total(boot)))
            )

    def _look_for_context(self) -> None:
        """Check if a plain `docker` uses this engine; else the shown command names the context."""
        home = self.app.link.home
        self.app.tasks.quietly(lambda: is_current(home), self._show_command)

    def _show_command(self, plain: bool) -> None:
        context = self.app.connection.context
        name = context.name if context else ""
        self.command.say(f"docker {'' if plain else f'--context {name} '}{FIRST_COMMAND}")
