"""What can be done to images.

Next: `images_delete.py`, for what takes images away.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication

from desktop.context import Desk
from desktop.i18n.text import size, tr
from desktop.models import transfers
from desktop.models.images import NamedImage
from desktop.session.tasks import Task
from desktop.widgets.transfer import TransferCard
from engine.docker.cancel import Cancel
from engine.docker.types import TransferProgress

if TYPE_CHECKING:
    from engine.docker.images import Images

type Transfer = Callable[["Images", Cancel], Iterator[TransferProgress]]


def pull(desk: Desk, ref: str) -> Task:
    def done(_status: str) -> None:
        action = (tr("Run…"), partial(desk.shell.run_image, ref))
        desk.shell.toast(tr("{image} is here", image=ref), action=action)

    title = tr("Pull {image}", image=ref)
    again = partial(pull, desk, ref)
    return _transfer(desk, title, lambda images, cancel: images.pull(ref, cancel), done, again)


def push(desk: Desk, line: NamedImage, ref: str) -> Task:
    def transfer(images: "Images", cancel: Cancel) -> Iterator[TransferProgress]:
        if ref not in line.image.tags:
            images.tag(line.image.id, ref)
        return images.push(ref, cancel)

    def done(_status: str) -> None:
        desk.shell.toast(tr("{image} was pushed", image=ref))

    again = partial(push, desk, line, ref)
    return _transfer(desk, tr("Push {image}", image=ref), transfer, done, again)


def tag(desk: Desk, line: NamedImage, ref: str) -> None:
    def work(_task: Task) -> None:
        desk.connection.client.images.tag(line.image.id, ref)

    title = tr("Tag {image} as {name}", image=line.title, name=ref)
    desk.tasks.start(title, work, lambda _none: desk.stores.images.load())


def save(desk: Desk, refs: Sequence[str], path: Path) -> Task:
    def done(_status: str) -> None:
        written = tr("{size} in {path}", size=size(path.stat().st_size), path=path)
        desk.shell.toast(tr("Images were saved"), written)

    title = tr("Save {name}", name=path.name)
    again = partial(save, desk, refs, path)
    return _transfer(desk, title, lambda i, cancel: i.save(refs, path, cancel), done, again)


def load(desk: Desk, path: Path) -> Task:
    def done(status: str) -> None:
        desk.shell.toast(tr("{name} was loaded", name=path.name), status)

    title = tr("Load {name}", name=path.name)
    again = partial(load, desk, path)
    return _transfer(desk, title, lambda images, cancel: images.load(path, cancel), done, again)


def import_tar(desk: Desk, path: Path, ref: str) -> Task:
    def done(_status: str) -> None:
        action = (tr("Run…"), partial(desk.shell.run_image, ref))
        desk.shell.toast(tr("{image} was made", image=ref), action=action)

    return _transfer(
        desk,
        tr("Import {name}", name=path.name),
        lambda images, cancel: images.import_tar(path, ref, cancel),
        done,
        partial(import_tar, desk, path, ref),
    )


def copy(desk: Desk, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    desk.shell.toast(tr("Copied"), text)


def _transfer(
    desk: Desk,
    title: str,
    transfer: Transfer,
    done: Callable[[str], object],
    again: Callable[[], object],
) -> Task:
    """A task that shows its layers, in the list of tasks and in a card of its own."""

    def work(task: Task) -> str:
        status = ""
        for progress in transfer(desk.connection.client.images, task.cancel):
            task.report(transfers.note(progress), progress.fraction, progress)
            status = progress.status
        return status

    def over(status: str) -> None:
        desk.stores.images.load()
        done(status)

    task = desk.tasks.start(title, work, over)
    task.retry = again
    desk.shell.pin(TransferCard(desk.theme, task))
    return task
