"""What can be done about registry logins."""

from collections.abc import Callable

from desktop.context import Desk, Loss
from desktop.i18n.text import listing, tr
from desktop.session.tasks import Task
from engine.credentials import logins
from engine.credentials.logins import RegistryLogin
from vm.errors import Problem


def log_in(
    desk: Desk,
    server: str,
    username: str,
    secret: str,
    done: Callable[[object], object],
    refused: Callable[[Problem], object],
) -> Task:
    """The engine tries it; what the registry takes is kept where docker looks for it."""
    engine = desk.connection.pinned()

    def work(_task: Task) -> None:
        accepted = engine().login(server, username, secret)
        logins.add(accepted.server, accepted.username, accepted.secret)

    return desk.tasks.start(tr("Log in to a registry"), work, done, refused)


def log_out(desk: Desk, login: RegistryLogin, done: Callable[[object], object]) -> None:
    def go() -> None:
        title = tr("Log out of {server}", server=login.server)
        desk.tasks.start(title, lambda _task: logins.erase(login.server), done)

    loss = Loss(
        tr("Log out of {server}?", server=login.server),
        tr("Its password or token is deleted from this computer."),
        tr("Images that were pulled stay."),
        tr("Log out"),
    )
    desk.shell.confirm(loss, go)


def move_plain(desk: Desk, done: Callable[[object], object]) -> Task:
    def told(moved: tuple[str, ...]) -> None:
        desk.shell.toast(tr("The keyring has these logins now"), listing(moved))
        done(moved)

    title = tr("Move logins to the keyring")
    return desk.tasks.start(title, lambda _task: logins.move_plain(), told)
