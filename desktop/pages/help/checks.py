"""The checks: the question, the result, and the fix of each."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import plural, tr
from desktop.pages.help.fixes import fix_for
from desktop.session.tasks import Task, TaskState
from desktop.theme import icons
from desktop.theme.theme import monospace
from desktop.widgets.basics import (
    button,
    card,
    column,
    holder,
    icon_button,
    label,
    line,
    row,
    scrolled,
)
from vm.errors import Problem

if TYPE_CHECKING:  # they import the whole engine
    from engine.diagnose.run import Result

DETAILS_HEIGHT = 140
DRESS = {"fine": ("check", "running"), "problem": ("error", "error"), "skipped": ("more", "exited")}


class ChecksView(QWidget):
    """`results` are the answers of the last run, as far as there are any."""

    def __init__(self, app: AppContext) -> None:
        super().__init__()
        self._app = app
        self.results: tuple[Result, ...] = ()
        self.rows: list[CheckRow] = []
        self.task: Task | None = None
        words = tr("Run the checks")
        self.start = icon_button(app.theme, "start", words, self.run, text=words, kind="primary")
        self.said = label(tr("No checks have run yet."), "heading", wrap=True)
        self.about = label(
            tr("Checks Galley, this computer and the virtual machine. Changes nothing."),
            "secondary",
            wrap=True,
        )
        self.progress = QProgressBar(textVisible=False)
        self.progress.setAccessibleName(tr("Progress of the checks"))
        self.progress.hide()
        head = row(column(self.said, self.about, gap=4), self.start, gap=16)
        head.setStretch(0, 1)
        self._list = QVBoxLayout()
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(0)
        self._card = card(self._list, 0)
        self._card.hide()
        whole = column(card(head), self.progress, self._card, 1, gap=12)
        self.setLayout(column(scrolled(holder(whole))))

    def run(self) -> None:
        """Run all checks, and show each result as it comes."""
        if self.task is not None and not self.task.state.is_over:
            return
        home = self._app.link.home
        self._take(())
        self.said.setText(tr("Checking…"))
        self.start.setEnabled(False)
        self.progress.setRange(0, 0)
        self.progress.show()

        def work(task: Task) -> "tuple[Result, ...]":
            from engine.diagnose.run import CHECKS, answers, gathered

            task.report(tr("Collecting information"))
            found: tuple[Result, ...] = ()
            with gathered(home) as facts:
                for result in answers(facts):
                    found = (*found, result)
                    task.report(tr(result.title), len(found) / len(CHECKS), found)
            return found

        self.task = self._app.tasks.start(tr("Check for problems"), work, self._done)
        self.task.changed.connect(self._follow)

    def _follow(self) -> None:
        task = self.task
        if task is None:
            return
        if isinstance(task.detail, tuple) and not task.state.is_over:
            self._take(task.detail)
            if task.fraction is not None:
                self.progress.setRange(0, 100)
                self.progress.setValue(min(100, round(100 * task.fraction)))
        if task.state.is_over:
            self.progress.hide()
            self.start.setEnabled(True)
            if task.state is TaskState.CANCELLED:
                self.said.setText(tr("The checks were cancelled."))
            elif task.state is TaskState.FAILED:
                self.said.setText(tr("The checks did not finish."))

    def _done(self, results: "tuple[Result, ...]") -> None:
        self._take(results)
        wrong = sum(result.problem is not None for result in results)
        fine = sum(result.outcome == "fine" for result in results)
        skipped = len(results) - wrong - fine
        parts = [
            plural("%n problems found.", "%n problem found.", wrong) if wrong else "",
            plural("%n checks passed.", "%n check passed.", fine),
            plural("%n checks skipped.", "%n check skipped.", skipped) if skipped else "",
        ]
        self.said.setText(" ".join(filter(None, parts)))
        self.start.setText(tr("Run them again"))
        self.start.setAccessibleName(tr("Run the checks again"))

    def _take(self, results: "tuple[Result, ...]") -> None:
        """Rows that are shown already stay as they are."""
        if results[: len(self.results)] != self.results:
            while self._list.count():
                item = self._list.takeAt(0)
                gone = item.widget() if item is not None else None
                if gone is not None:
                    gone.deleteLater()
            self.rows, self.results = [], ()
        for result in results[len(self.results) :]:
            if self.rows:
                self._list.addWidget(line())
            self.rows.append(CheckRow(self._app, result, self._mended))
            self._list.addWidget(self.rows[-1])
        self.results = results
        self._card.setVisible(bool(results))

    def _mended(self) -> None:
        """A fix has ended: run the checks again."""
        self.run()


class CheckRow(QWidget):
    """One question and its answer."""

    def __init__(self, app: AppContext, result: "Result", mended: Callable[[], object]) -> None:
        super().__init__()
        self._app = app
        self._mended = mended
        self._look = DRESS[result.outcome]
        self.result = result
        self._picture = label()
        words = {
            "fine": tr("fine"),
            "problem": tr("needs attention"),
            "skipped": tr("skipped"),
        }
        self.word = label(words[result.outcome], "secondary")
        self.title = label(tr(result.title), wrap=True)
        self.fix: QPushButton | None = None
        self._task: Task | None = None
        head = row(self._picture, self.title, self.word, gap=12)
        head.setStretch(1, 1)
        whole = column(head, gap=6)
        whole.setContentsMargins(16, 10, 16, 10)
        if result.problem is not None:
            whole.addWidget(self._trouble(result.problem))
        self.setLayout(whole)
        self.setAccessibleName(f"{tr(result.title)}: {words[result.outcome]}")
        self._apply_theme()
        app.theme.changed.connect(self._apply_theme)

    def _trouble(self, problem: Problem) -> QWidget:
        summary = label(messages.summary(problem), "heading", wrap=True, select=True)
        hint = label(messages.hint(problem), "secondary", wrap=True, select=True)
        if not problem.hint:
            hint.hide()
        fix = fix_for(self._app, self.result)
        buttons: list[QPushButton] = []
        if fix is not None:
            self.fix = button(fix[0], self._mend)
            buttons.append(self.fix)
        details = QPlainTextEdit(problem.details, readOnly=True)
        details.setFont(monospace())
        details.setAccessibleName(tr("Details"))
        details.setTabChangesFocus(True)
        details.setFixedHeight(DETAILS_HEIGHT)
        details.hide()
        if problem.details:
            more = button(tr("Details"), kind="link")
            more.setCheckable(True)
            more.toggled.connect(details.setVisible)
            buttons.append(more)
        box = column(summary, hint, row(*buttons, 1) if buttons else None, details, gap=6)
        box.setContentsMargins(28, 0, 0, 4)
        return holder(box)

    def _mend(self) -> None:
        fix = fix_for(self._app, self.result)
        task = fix[1]() if fix is not None else None
        if task is None or self.fix is None:
            return
        self._task = task
        self.fix.setEnabled(False)
        self.word.setText(tr("repairing…"))
        task.changed.connect(self._follow)

    def _follow(self) -> None:
        if self._task is None:
            return
        if self._task.state is TaskState.DONE:
            self._task.changed.disconnect(self._follow)
            self._mended()
        elif self._task.state.is_over and self.fix is not None:
            self.fix.setEnabled(True)
            self.word.setText(tr("needs attention"))

    def _apply_theme(self) -> None:
        icon, color = self._look
        self._picture.setPixmap(icons.pixmap(icon, self._app.theme.color(color), 16))
        self._picture.setAlignment(Qt.AlignmentFlag.AlignTop)
