"""The registry logins of this computer: lists, adds and removes them.

They are read anew when the page is shown and after each change: docker changes them too.
"""

from functools import partial

import msgspec
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.actions import logins as actions
from desktop.context import AppContext
from desktop.dialogs.login import LoginDialog
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.pages.settings.fields import FormRow, Section
from desktop.widgets.basics import button, column, holder, label, row
from engine.credentials import logins
from engine.credentials.logins import RegistryLogin
from engine.settings.store import SettingsStore
from vm.errors import Problem


class Seen(msgspec.Struct, frozen=True):
    """The logins at one moment. `problem`: what keeps logins out of the keyring, if they should be
    in it; `safe`: a new one would not be kept in a plain file."""

    logins: tuple[RegistryLogin, ...]
    wanted: bool
    safe: bool
    problem: Problem | None


class LoginsSection(Section):
    def __init__(self, app: AppContext) -> None:
        self._list = LoginList(app)
        title = tr("Private images")
        about = tr("Logins that docker and this window use to pull and push them.")
        one = FormRow(title, about, self._list, "docker login password token", wide=True)
        super().__init__(tr("Registry logins"), [one])
        self.refresh = self._list.refresh


class LoginList(QWidget):
    def __init__(self, app: AppContext) -> None:
        super().__init__()
        self._app = app
        self.rows: dict[str, QWidget] = {}
        self._box: QVBoxLayout = column(gap=4)
        self.nothing = label(tr("There are none."), "secondary")
        self.said = label("", "secondary", wrap=True, select=True)
        self.add = button(tr("Log in…"), self._add)
        self.move_plain = button(tr("Move to the keyring"), self._move)
        self.setLayout(
            column(self._box, self.nothing, self.said, row(self.add, self.move_plain, 1), gap=8)
        )
        self.nothing.hide()
        self.said.hide()
        self.move_plain.hide()

    def refresh(self, _outcome: object = None) -> None:
        settings = SettingsStore(self._app.link.home)
        self._app.tasks.quietly(lambda: _look(settings), self._show, self._complain)

    def _show(self, seen: Seen) -> None:
        for old in self.rows.values():
            self._box.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.rows = {login.server: self._row(login) for login in seen.logins}
        for made in self.rows.values():
            self._box.addWidget(made)
        self.nothing.setVisible(not seen.logins)
        plain = any(not login.store for login in seen.logins)
        self.move_plain.setVisible(seen.wanted and plain)
        self.add.setEnabled(seen.safe)
        self._say(messages.told(seen.problem) if seen.problem else "" if seen.safe else _off())

    def _row(self, login: RegistryLogin) -> QWidget:
        place = "" if login.store else tr("in a plain file")
        out = button(
            tr("Log out"),
            partial(actions.log_out, self._app, login, self.refresh),
            "link",
            name=tr("Log out of {server}", server=login.server),
        )
        words = (label(login.username, "secondary", select=True), label(place, "error"))
        return holder(row(label(login.server, select=True), *words, 1, out, gap=12))

    def _complain(self, problem: Problem) -> None:
        """Docker's file or a helper cannot be read: what was shown may not hold any more."""
        self._say(messages.told(problem))

    def _say(self, text: str) -> None:
        self.said.setText(text)
        self.said.setVisible(bool(text))

    def _add(self) -> None:
        LoginDialog(self._app, self._app.window.widget, self.refresh).open()

    def _move(self) -> None:
        actions.move_plain(self._app, self.refresh)


def _look(settings: SettingsStore) -> Seen:
    wanted = settings.current().use_keyring
    error = logins.why_not() if wanted else None
    problem = error.to_problem() if error else None
    return Seen(logins.logins(), wanted, wanted or logins.has_store(), problem)


def _off() -> str:
    return tr("Docker stores logins in a plain file, because the setting for the keyring is off.")
