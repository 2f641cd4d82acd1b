"""The Help page: checks, logs, keys, about. A tab that requests or reads something is made when it
is first shown.
"""

import time
from collections.abc import Callable
from functools import partial

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QButtonGroup, QPushButton, QStackedWidget, QWidget

from desktop.actions import report
from desktop.context import AppContext
from desktop.dialogs.choose_file import ask_save
from desktop.i18n.text import tip, tr
from desktop.pages.help.about import AboutView
from desktop.pages.help.checks import ChecksView
from desktop.pages.help.keys import KeysView
from desktop.pages.help.logs import LogsView
from desktop.pages.page import Command, Page
from desktop.widgets.basics import button, icon_button, line, row
from desktop.widgets.levels import step_out_of


class HelpPage(Page):
    def __init__(self, app: AppContext) -> None:
        super().__init__(app, tr("Help"))
        words = tr("Save a report…")
        self.bundle = icon_button(app.theme, "save", words, self._save, text=words, kind="")
        about = tr(
            "One file with logs, settings and versions. Known secrets are removed; names of "
            "containers, images and folders are not."
        )
        self.bundle.setToolTip(tip(about))
        self.header.addStretch(1)
        self.header.addWidget(self.bundle)
        self._makers: dict[str, Callable[[], QWidget]] = {
            "checks": partial(ChecksView, app),
            "logs": partial(LogsView, app),
            "keys": KeysView,
            "about": partial(AboutView, app),
        }
        self.views: dict[str, QWidget] = {}
        self.tabs: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        self._stack = QStackedWidget()
        for key, title in (
            ("checks", tr("Checks")),
            ("logs", tr("Logs")),
            ("keys", tr("Keyboard")),
            ("about", tr("About")),
        ):
            tab = button(title, partial(self.show_tab, key), "tab")
            tab.setCheckable(True)
            self._group.addButton(tab)
            self.tabs[key] = tab
        self.body.setSpacing(0)
        self.body.addLayout(row(*self.tabs.values(), 1, gap=20))
        self.body.addWidget(line())
        self.body.addSpacing(12)
        self.body.addWidget(self._stack, 1)
        self.current = ""

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        if not self.current:
            self.show_tab("checks")

    def show_tab(self, key: str) -> None:
        if key not in self.views:
            self.views[key] = self._makers[key]()
            self._stack.addWidget(self.views[key])
        self.current = key
        self.tabs[key].setChecked(True)
        self._stack.setCurrentWidget(self.views[key])

    def open(self, key: str, tab: str = "") -> None:
        """`key` is a tab; of "logs", `tab` is which log."""
        if key in self.tabs:
            self.show_tab(key)
            view = self.views[key]
            if tab and isinstance(view, LogsView):
                view.choose(tab)

    def refresh(self) -> None:
        view = self.views.get(self.current)
        if isinstance(view, ChecksView):
            view.run()
        elif isinstance(view, LogsView):
            view.read_again()

    def focus_filter(self) -> None:
        self.show_tab("logs")
        view = self.views["logs"]
        if isinstance(view, LogsView):
            view.words.setFocus()

    def step_out(self) -> bool:
        view = self.views.get(self.current)
        return isinstance(view, LogsView) and step_out_of(view.words, view.view)

    def commands(self) -> list[Command]:
        go = self.app.window.go
        return [
            Command(tr("Check for problems"), self._check, tr("Help"), "help"),
            Command(tr("Logs of the engine"), partial(go, "help", "logs", "engine"), icon="logs"),
            Command(tr("Logs of Galley"), partial(go, "help", "logs", "supervisor"), icon="logs"),
            Command(tr("Save a report…"), self._save, tr("Help"), "save"),
            Command(tr("Keyboard"), partial(go, "help", "keys"), tr("Help"), "help"),
        ]

    def _save(self) -> None:
        name = time.strftime("galley-report-%Y%m%d-%H%M.zip")
        ask_save(self, tr("Save a report"), name, "zip", partial(report.save, self.app))

    def _check(self) -> None:
        self.app.window.go("help", "checks")
        view = self.views["checks"]
        if isinstance(view, ChecksView):
            view.run()
