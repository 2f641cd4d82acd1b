"""Logging in to a registry."""

from collections.abc import Callable

from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.actions import logins as actions
from desktop.context import AppContext
from desktop.dialogs.form import FormDialog
from desktop.i18n.text import tr


class LoginDialog(FormDialog):
    """`done` is called when the registry has taken the login and it is kept."""

    def __init__(self, app: AppContext, parent: QWidget, done: Callable[[], object]) -> None:
        super().__init__(parent, tr("Log in to a registry"), tr("Log in"))
        self._app = app
        self._done = done
        self.server = QLineEdit()
        self.username = QLineEdit()
        self.secret = QLineEdit(echoMode=QLineEdit.EchoMode.Password)
        self.add_field(tr("Registry"), self.server, tr("Host and port. Empty: Docker Hub."))
        self._username = self.add_field(tr("User name"), self.username)
        self._secret = self.add_field(
            tr("Password or token"),
            self.secret,
            tr("Stored with docker's logins, never in a plain file."),
        )
        self.server.setFocus()

    def send(self) -> bool:
        username, secret = self.username.text().strip(), self.secret.text()
        complaints = [
            self._username.complain("" if username else tr("Enter a user name.")),
            self._secret.complain("" if secret else tr("Enter a password or token.")),
        ]
        if any(complaints):
            return False
        server = self.server.text().strip()
        actions.log_in(self._app, server, username, secret, self._taken, self.refused)
        return True

    def _taken(self, outcome: object) -> None:
        self._done()
        self.granted(outcome)
