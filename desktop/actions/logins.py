"""Actions on registry logins."""

from collections.abc import Callable

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n.text import listing, tr
from desktop.session.tasks import Task
from engine.credentials import logins
from engine.credentials.logins import RegistryLogin
from vm.errors import Problem


def log_in(
    app: AppContext,
    server: str,
    username: str,
    secret: str,
    done: Callable[[object], object],
    refused: Callable[[Problem], object],
) -> Task:
    """The engine tries it; what the registry takes is kept where docker looks for it."""
    engine = app.connection.pinned()

    def work(_task: Task) -> None:
        accepted = engine().login(server, username, secret)
        logins.add(accepted.server, accepted.username, accepted.secret)

    return app.tasks.start(tr("Log in to a registry"), work, done, refused)


def log_out(app: AppContext, login: RegistryLogin, done: Callable[[object], object]) -> None:
    def go() -> None:
        title = tr("Log out of {server}", server=login.server)
        app.tasks.start(title, lambda _task: logins.erase(login.server), done)

    prompt = DestructivePrompt(
        tr("Log out of {server}?", server=login.server),
        tr("Its password or token is deleted from this computer."),
        tr("Pulled images are kept."),
        tr("Log out"),
    )
    app.window.confirm(prompt, go)


def move_plain(app: AppContext, done: Callable[[object], object]) -> Task:
    def told(moved: tuple[str, ...]) -> None:
        app.window.toast(tr("The keyring has these logins now"), listing(moved))
        done(moved)

    title = tr("Move logins to the keyring")
    return app.tasks.start(title, lambda _task: logins.move_plain(), told)
