"""Actions on volumes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n.text import listing, plural, size, tr
from desktop.session.tasks import Task
from engine.docker.types import Pruned, TransferProgress, Volume
from vm.errors import ObjectConflict, Problem
from vm.messages import Message

if TYPE_CHECKING:
    from engine.docker.client import DockerClient
    from engine.docker.volumes import Volumes

    type Engine = Callable[[], DockerClient]

type Pairs = Sequence[tuple[str, str]]
type Answered = Callable[[object], object]
type Refused = Callable[[Problem], object]


def create(
    app: AppContext, name: str, driver: str, labels: Pairs, done: Answered, refused: Refused
) -> Task:
    def work(_task: Task) -> None:
        _api(app).create(name, driver or "local", labels)

    return app.tasks.start(
        tr("Create {name}", name=name), work, partial(_loaded, app, done), refused
    )


def delete(app: AppContext, rows: Sequence[Volume]) -> None:
    """Asks once. A volume in use cannot be deleted: then a message says so."""
    free = [row for row in rows if not app.stores.users_of_volume(row.name)]
    used = [row for row in rows if row not in free]
    if not free:
        if used:
            app.window.complain(_in_use(app, used))
        return
    title = plural("Delete %n volumes?", "Delete the volume {name}?", len(free), name=free[0].name)
    loses = plural(
        "All files in them are permanently deleted.",
        "All files in it are permanently deleted.",
        len(free),
    )
    keeps = tr("No container uses it.") if len(free) == 1 else tr("No container uses them.")
    if used:
        keeps = _in_use(app, used).summary
        keeps = tr("{reason} They are not deleted.", reason=keeps)
    names = tuple(row.name for row in free)
    prompt = DestructivePrompt(title, loses, keeps, tr("Delete"), names=names)
    app.window.confirm(prompt, lambda: _delete_each(app, free))


def clone(app: AppContext, row: Volume, name: str, done: Answered, refused: Refused) -> Task:
    def begin(task: Task) -> Iterator[TransferProgress]:
        return _api(app).clone(row.name, name, task.cancel)

    return app.tasks.start(
        tr("Clone {source} as {name}", source=row.name, name=name),
        partial(_transfer, begin),
        partial(_loaded, app, done),
        refused,
    )


def export(app: AppContext, row: Volume, path: Path) -> Task:
    """Write its files to a tar file."""

    def begin(task: Task) -> Iterator[TransferProgress]:
        return _api(app).export(row.name, path, task.cancel)

    def done(_outcome: object) -> None:
        folder = QUrl.fromLocalFile(str(path.parent))
        show = (tr("Show in folder"), lambda: QDesktopServices.openUrl(folder))
        app.window.toast(tr("{name} was exported", name=row.name), str(path), show)

    title = tr("Export {name}", name=row.name)
    return app.tasks.start(title, partial(_transfer, begin), done)


def import_tar(app: AppContext, name: str, path: Path) -> Task:
    """Import into a volume, which is made if missing. The dialog has asked before."""

    engine = app.connection.pinned()

    def begin(task: Task) -> Iterator[TransferProgress]:
        return engine().volumes.import_tar(name, path, task.cancel)

    def done(_outcome: object) -> None:
        app.stores.volumes.load()
        app.stores.count_disk()
        show = (tr("Browse"), lambda: app.window.go("volumes", name, "files"))
        app.window.toast(tr("{file} was imported", file=path.name), name, show)

    title = tr("Import {file} into {name}", file=path.name, name=name)
    return app.tasks.start(title, partial(_transfer, begin), done)


def overwriting(app: AppContext, name: str, path: Path, then: Callable[[], object]) -> None:
    """Ask before files may be replaced."""
    users = [row.name for row in app.stores.users_of_volume(name) if row.state.is_up]
    loses = tr("Files that are in the tar and in the volume are replaced by those of the tar.")
    if users:
        loses += " " + tr("{names} may be using them now.", names=listing(users))
    prompt = DestructivePrompt(
        tr("Import {file} into {name}?", file=path.name, name=name),
        loses,
        tr("Other files in the volume are kept."),
        tr("Import"),
    )
    app.window.confirm(prompt, then)


def preview(app: AppContext) -> tuple[Pruned, ...]:
    """In a worker thread: what a prune takes, without and with those that have a name."""
    return _api(app).prune_preview(all=False), _api(app).prune_preview(all=True)


def prune(app: AppContext, named: bool) -> Task:
    engine = app.connection.pinned()

    def work(task: Task) -> Pruned:
        task.report(tr("Deleting unused volumes"))
        return engine().volumes.prune(all=named)

    def done(gone: Pruned) -> None:
        app.stores.volumes.load()
        app.stores.count_disk()
        count = plural("%n volumes were deleted", "%n volume was deleted", len(gone.names))
        app.window.toast(count, tr("{size} freed.", size=size(gone.bytes)))

    return app.tasks.start(tr("Delete unused volumes"), work, done)


def inspect(app: AppContext, name: str) -> bytes:
    """In a worker thread."""
    return _api(app).inspect(name)


def _api(app: AppContext) -> "Volumes":
    return app.connection.client.volumes


def _in_use(app: AppContext, rows: Sequence[Volume]) -> Problem:
    """The error: which containers use the volumes, and have to be deleted first."""
    names = {user.name: None for row in rows for user in app.stores.users_of_volume(row.name)}
    return ObjectConflict(
        Message(
            "",
            plural(
                "%n volumes are used by {users}.",
                "{name} is used by {users}.",
                len(rows),
                name=rows[0].name,
                users=listing(names),
            ),
            plural(
                "Delete these containers first: stopping them is not enough.",
                "Delete that container first: stopping it is not enough.",
                len(names),
            ),
        ),
    ).to_problem()


def _delete_each(app: AppContext, rows: Sequence[Volume]) -> None:
    store, engine = app.stores.volumes, app.connection.pinned()
    for row in rows:
        store.set_busy(row.name, tr("deleting…"))
        work = partial(_remove, engine, row.name)
        over = partial(_settle, app, row.name)
        app.tasks.start(tr("Delete {name}", name=row.name), work, over, over)


def _remove(engine: "Engine", name: str, _task: Task) -> None:
    engine().volumes.remove(name)


def _settle(app: AppContext, name: str, _outcome: object) -> None:
    app.stores.volumes.settle(name)


def _loaded(app: AppContext, done: Answered, outcome: object) -> None:
    app.stores.volumes.load()
    app.stores.count_disk()
    done(outcome)


def _transfer(begin: Callable[[Task], Iterator[TransferProgress]], task: Task) -> None:
    """Run the transfer to its end, and report its progress."""
    for progress in begin(task):
        passed = sum(layer.done for layer in progress.layers)
        task.report(size(passed), progress.fraction)
