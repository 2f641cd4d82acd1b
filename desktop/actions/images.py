"""Actions on images.

Next: `images_delete.py`, which deletes them.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication

from desktop.context import AppContext
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


def pull(app: AppContext, ref: str) -> Task:
    def done(_status: str) -> None:
        action = (tr("Run…"), partial(app.window.run_image, ref))
        app.window.toast(tr("{image} was pulled", image=ref), action=action)

    title = tr("Pull {image}", image=ref)
    again = partial(pull, app, ref)
    return _transfer(app, title, lambda images, cancel: images.pull(ref, cancel), done, again)


def push(app: AppContext, line: NamedImage, ref: str) -> Task:
    def transfer(images: "Images", cancel: Cancel) -> Iterator[TransferProgress]:
        if ref not in line.image.tags:
            images.tag(line.image.id, ref)
        return images.push(ref, cancel)

    def done(_status: str) -> None:
        app.window.toast(tr("{image} was pushed", image=ref))

    again = partial(push, app, line, ref)
    return _transfer(app, tr("Push {image}", image=ref), transfer, done, again)


def tag(app: AppContext, line: NamedImage, ref: str) -> None:
    def work(_task: Task) -> None:
        app.connection.client.images.tag(line.image.id, ref)

    title = tr("Tag {image} as {name}", image=line.title, name=ref)
    app.tasks.start(title, work, lambda _none: app.stores.images.load())


def save(app: AppContext, refs: Sequence[str], path: Path) -> Task:
    def done(_status: str) -> None:
        written = tr("{size} in {path}", size=size(path.stat().st_size), path=path)
        app.window.toast(tr("Images were saved"), written)

    title = tr("Save {name}", name=path.name)
    again = partial(save, app, refs, path)
    return _transfer(app, title, lambda i, cancel: i.save(refs, path, cancel), done, again)


def load(app: AppContext, path: Path) -> Task:
    def done(status: str) -> None:
        app.window.toast(tr("{name} was loaded", name=path.name), status)

    title = tr("Load {name}", name=path.name)
    again = partial(load, app, path)
    return _transfer(app, title, lambda images, cancel: images.load(path, cancel), done, again)


def import_tar(app: AppContext, path: Path, ref: str) -> Task:
    def done(_status: str) -> None:
        action = (tr("Run…"), partial(app.window.run_image, ref))
        app.window.toast(tr("{image} was created", image=ref), action=action)

    return _transfer(
        app,
        tr("Import {name}", name=path.name),
        lambda images, cancel: images.import_tar(path, ref, cancel),
        done,
        partial(import_tar, app, path, ref),
    )


def copy(app: AppContext, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    app.window.toast(tr("Copied"), text)


def _transfer(
    app: AppContext,
    title: str,
    transfer: Transfer,
    done: Callable[[str], object],
    again: Callable[[], object],
) -> Task:
    """A task that shows its layers, in the list of tasks and in a card of its own."""

    def work(task: Task) -> str:
        status = ""
        for progress in transfer(app.connection.client.images, task.cancel):
            task.report(transfers.note(progress), progress.fraction, progress)
            status = progress.status
        return status

    def over(status: str) -> None:
        app.stores.images.load()
        done(status)

    task = app.tasks.start(title, work, over)
    task.retry = again
    app.window.pin(TransferCard(app.theme, task))
    return task
