"""What can be done to volumes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from desktop.context import Desk, Loss
from desktop.i18n.text import listing, plural, size, tr
from desktop.session.tasks import Task
from engine.docker.types import Pruned, TransferProgress, Volume
from vm.errors import ObjectConflict, Problem

if TYPE_CHECKING:
    from engine.docker.client import DockerClient
    from engine.docker.volumes import Volumes

    type Engine = Callable[[], DockerClient]

type Pairs = Sequence[tuple[str, str]]
type Answered = Callable[[object], object]
type Refused = Callable[[Problem], object]


def create(
    desk: Desk, name: str, driver: str, labels: Pairs, done: Answered, refused: Refused
) -> Task:
    def work(_task: Task) -> None:
        _api(desk).create(name, driver or "local", labels)

    return desk.tasks.start(
        tr("Create {name}", name=name), work, partial(_loaded, desk, done), refused
    )


def delete(desk: Desk, rows: Sequence[Volume]) -> None:
    """Asks once. What a container uses cannot be deleted: that is said instead."""
    free = [row for row in rows if not desk.stores.users_of_volume(row.name)]
    used = [row for row in rows if row not in free]
    if not free:
        if used:
            desk.shell.complain(_in_use(desk, used))
        return
    title = plural(len(free), "Delete the volume {name}?", "Delete {n} volumes?", name=free[0].name)
    loses = plural(
        len(free), "All files in it are lost for good.", "All files in them are lost for good."
    )
    keeps = tr("No container uses it.") if len(free) == 1 else tr("No container uses them.")
    if used:
        keeps = _in_use(desk, used).summary
        keeps = tr("{reason} They are not deleted.", reason=keeps)
    names = tuple(row.name for row in free)
    loss = Loss(title, loses, keeps, tr("Delete"), names=names)
    desk.shell.confirm(loss, lambda: _delete_each(desk, free))


def clone(desk: Desk, row: Volume, name: str, done: Answered, refused: Refused) -> Task:
    def begin(task: Task) -> Iterator[TransferProgress]:
        return _api(desk).clone(row.name, name, task.cancel)

    return desk.tasks.start(
        tr("Clone {source} as {name}", source=row.name, name=name),
        partial(_transfer, begin),
        partial(_loaded, desk, done),
        refused,
    )


def export(desk: Desk, row: Volume, path: Path) -> Task:
    """Write its files to a tar file."""

    def begin(task: Task) -> Iterator[TransferProgress]:
        return _api(desk).export(row.name, path, task.cancel)

    def done(_outcome: object) -> None:
        folder = QUrl.fromLocalFile(str(path.parent))
        show = (tr("Show in folder"), lambda: QDesktopServices.openUrl(folder))
        desk.shell.toast(tr("{name} was exported", name=row.name), str(path), show)

    title = tr("Export {name}", name=row.name)
    return desk.tasks.start(title, partial(_transfer, begin), done)


def import_tar(desk: Desk, name: str, path: Path) -> Task:
    """Into a volume that is made if it is not there. Asking is the dialog's business."""

    engine = desk.connection.pinned()

    def begin(task: Task) -> Iterator[TransferProgress]:
        return engine().volumes.import_tar(name, path, task.cancel)

    def done(_outcome: object) -> None:
        desk.stores.volumes.load()
        desk.stores.count_disk()
        show = (tr("Browse"), lambda: desk.shell.go("volumes", name, "files"))
        desk.shell.toast(tr("{file} was imported", file=path.name), name, show)

    title = tr("Import {file} into {name}", file=path.name, name=name)
    return desk.tasks.start(title, partial(_transfer, begin), done)


def overwriting(desk: Desk, name: str, path: Path, then: Callable[[], object]) -> None:
    """Ask before files may be replaced."""
    users = [row.name for row in desk.stores.users_of_volume(name) if row.state.is_up]
    loses = tr("Files that are in the tar and in the volume are replaced by those of the tar.")
    if users:
        loses += " " + tr("{names} may be using them now.", names=listing(users))
    loss = Loss(
        tr("Import {file} into {name}?", file=path.name, name=name),
        loses,
        tr("Other files in the volume stay."),
        tr("Import"),
    )
    desk.shell.confirm(loss, then)


def preview(desk: Desk) -> tuple[Pruned, ...]:
    """In a worker thread: what a prune takes, without and with those that have a name."""
    return _api(desk).prune_preview(all=False), _api(desk).prune_preview(all=True)


def prune(desk: Desk, named: bool) -> Task:
    engine = desk.connection.pinned()

    def work(task: Task) -> Pruned:
        task.report(tr("Deleting unused volumes"))
        return engine().volumes.prune(all=named)

    def done(gone: Pruned) -> None:
        desk.stores.volumes.load()
        desk.stores.count_disk()
        count = plural(len(gone.names), "{n} volume was deleted", "{n} volumes were deleted")
        desk.shell.toast(count, tr("{size} are free again.", size=size(gone.bytes)))

    return desk.tasks.start(tr("Delete unused volumes"), work, done)


def inspect(desk: Desk, name: str) -> bytes:
    """In a worker thread."""
    return _api(desk).inspect(name)


def _api(desk: Desk) -> "Volumes":
    return desk.connection.client.volumes


def _in_use(desk: Desk, rows: Sequence[Volume]) -> Problem:
    """By whom, and what has to go first."""
    names = {user.name: None for row in rows for user in desk.stores.users_of_volume(row.name)}
    return ObjectConflict(
        plural(
            len(rows),
            "{name} is used by {users}.",
            "{n} volumes are used by {users}.",
            name=rows[0].name,
            users=listing(names),
        ),
        plural(
            len(names),
            "Delete that container first: stopping it is not enough.",
            "Delete these containers first: stopping them is not enough.",
        ),
    ).to_problem()


def _delete_each(desk: Desk, rows: Sequence[Volume]) -> None:
    store, engine = desk.stores.volumes, desk.connection.pinned()
    for row in rows:
        store.set_busy(row.name, tr("deleting…"))
        work = partial(_remove, engine, row.name)
        over = partial(_settle, desk, row.name)
        desk.tasks.start(tr("Delete {name}", name=row.name), work, over, over)


def _remove(engine: "Engine", name: str, _task: Task) -> None:
    engine().volumes.remove(name)


def _settle(desk: Desk, name: str, _outcome: object) -> None:
    desk.stores.volumes.settle(name)


def _loaded(desk: Desk, done: Answered, outcome: object) -> None:
    desk.stores.volumes.load()
    desk.stores.count_disk()
    done(outcome)


def _transfer(begin: Callable[[Task], Iterator[TransferProgress]], task: Task) -> None:
    """Follow it to its end, and tell how far it is."""
    for progress in begin(task):
        passed = sum(layer.done for layer in progress.layers)
        task.report(size(passed), progress.fraction)
