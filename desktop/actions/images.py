"""What can be done to images. May import: `desk`, `tasks`, `models`, `dialogs`, `text`, `engine`.

Next: `images_delete.py`, for what takes images away.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication

from desktop.desk import Desk
from desktop.models import transfers
from desktop.models.images import NamedImage
from desktop.tasks import Task
from desktop.text import size, tr
from desktop.widgets.transfer import TransferCard
from engine.docker.cancel import Cancel
from engine.docker.types import TransferProgress

if TYPE_CHECKING:
    from engine.docker.images import Images

type Transfer = Callable[["Images", Cancel], Iterator[TransferProgress]]

TAR_FILES = "*.tar *.tar.gz *.tgz *.tar.xz *.tar.zst"


def ask_pull(desk: Desk, given: str = "") -> None:
    from desktop.dialogs.image_name import ImageNameDialog

    ImageNameDialog(
        desk.shell.widget,
        tr("Pull an image"),
        tr("Its name, with a tag if it is not to be the latest. A digest can stand behind @."),
        tr("Pull"),
        partial(pull, desk),
        given,
        digest=True,
    ).open()


def pull(desk: Desk, ref: str) -> Task:
    def done(_status: str) -> None:
        action = (tr("Run…"), partial(run, desk, ref))
        desk.shell.toast(tr("{image} is here", image=ref), action=action)

    title = tr("Pull {image}", image=ref)
    again = partial(pull, desk, ref)
    return _transfer(desk, title, lambda images, cancel: images.pull(ref, cancel), done, again)


def ask_push(desk: Desk, line: NamedImage) -> None:
    """Where it goes stands in its name, so it may need another one first."""
    from desktop.dialogs.image_name import ImageNameDialog

    ImageNameDialog(
        desk.shell.widget,
        tr("Push {image}", image=line.title),
        tr(
            "The name says where it goes: example.com/team/app:1 goes to example.com. "
            "Another name is added to the image first."
        ),
        tr("Push"),
        partial(push, desk, line),
        line.tag,
    ).open()


def push(desk: Desk, line: NamedImage, ref: str) -> Task:
    def transfer(images: "Images", cancel: Cancel) -> Iterator[TransferProgress]:
        if ref not in line.image.tags:
            images.tag(line.image.id, ref)
        return images.push(ref, cancel)

    def done(_status: str) -> None:
        desk.shell.toast(tr("{image} was pushed", image=ref))

    again = partial(push, desk, line, ref)
    return _transfer(desk, tr("Push {image}", image=ref), transfer, done, again)


def ask_tag(desk: Desk, line: NamedImage) -> None:
    from desktop.dialogs.image_name import ImageNameDialog

    ImageNameDialog(
        desk.shell.widget,
        tr("Add a name to {image}", image=line.title),
        tr("The image keeps the names that it has."),
        tr("Add the name"),
        partial(tag, desk, line),
        line.tag,
    ).open()


def tag(desk: Desk, line: NamedImage, ref: str) -> None:
    def work(_task: Task) -> None:
        desk.connection.client.images.tag(line.image.id, ref)

    title = tr("Tag {image} as {name}", image=line.title, name=ref)
    desk.tasks.start(title, work, lambda _none: desk.stores.images.load())


def run(desk: Desk, ref: str) -> None:
    from desktop.dialogs.run import RunDialog

    RunDialog(desk, ref).open()


def ask_save(desk: Desk, lines: Sequence[NamedImage]) -> None:
    from desktop.dialogs.choose_file import ask_save as ask_where

    name = lines[0].title if len(lines) == 1 else tr("images")
    given = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip("-") + ".tar"
    ask_where(
        desk.shell.widget,
        tr("Save as a tar file"),
        given,
        "tar",
        partial(save, desk, [line.ref for line in lines]),
    )


def save(desk: Desk, refs: Sequence[str], path: Path) -> Task:
    def done(_status: str) -> None:
        written = tr("{size} in {path}", size=size(path.stat().st_size), path=path)
        desk.shell.toast(tr("Images were saved"), written)

    title = tr("Save {name}", name=path.name)
    again = partial(save, desk, refs, path)
    return _transfer(desk, title, lambda i, cancel: i.save(refs, path, cancel), done, again)


def ask_load(desk: Desk) -> None:
    from desktop.dialogs.choose_file import ask_open

    ask_open(desk.shell.widget, tr("Load images from a tar file"), _kinds(), partial(load, desk))


def load(desk: Desk, path: Path) -> Task:
    def done(status: str) -> None:
        desk.shell.toast(tr("{name} was loaded", name=path.name), status)

    title = tr("Load {name}", name=path.name)
    again = partial(load, desk, path)
    return _transfer(desk, title, lambda images, cancel: images.load(path, cancel), done, again)


def ask_import(desk: Desk) -> None:
    """A file first, then the name of what is made of it."""
    from desktop.dialogs.choose_file import ask_open

    ask_open(
        desk.shell.widget,
        tr("Make an image of a root file system"),
        _kinds(),
        partial(_ask_import_name, desk),
    )


def _ask_import_name(desk: Desk, path: Path) -> None:
    from desktop.dialogs.image_name import ImageNameDialog

    given = "".join(c for c in path.name.split(".")[0].lower() if c.isalnum() or c in "_-")
    ImageNameDialog(
        desk.shell.widget,
        tr("Import {name}", name=path.name),
        tr("The files in it become an image of one layer. What is it called?"),
        tr("Import"),
        partial(import_tar, desk, path),
        given.strip("_-"),
    ).open()


def import_tar(desk: Desk, path: Path, ref: str) -> Task:
    def done(_status: str) -> None:
        action = (tr("Run…"), partial(run, desk, ref))
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


def _kinds() -> str:
    return ";;".join(
        (tr("Tar files ({patterns})", patterns=TAR_FILES), tr("All files ({any})", any="*"))
    )
