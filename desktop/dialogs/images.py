"""The dialogs before an image is pulled, pushed, tagged, saved, loaded or pruned.

Next: `desktop/actions/images.py`, which does it.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from desktop.actions import images as actions
from desktop.actions import images_delete
from desktop.context import AppContext
from desktop.dialogs.choose_file import ask_open
from desktop.dialogs.choose_file import ask_save as ask_save_path
from desktop.dialogs.image_name import ImageNameDialog
from desktop.dialogs.prune import PruneDialog, Wording
from desktop.i18n.text import plural, tr
from desktop.models.images import NamedImage
from engine.docker.types import Pruned

TAR_FILES = "*.tar *.tar.gz *.tgz *.tar.xz *.tar.zst"


def ask_pull(app: AppContext, given: str = "") -> None:
    ImageNameDialog(
        app.window.widget,
        tr("Pull an image"),
        tr("Image name and tag or digest, for example nginx:1.27"),
        tr("Pull"),
        partial(actions.pull, app),
        given,
        digest=True,
    ).open()


def ask_push(app: AppContext, line: NamedImage) -> None:
    """The registry is a part of the name, so the image may need another name first."""
    ImageNameDialog(
        app.window.widget,
        tr("Push {image}", image=line.title),
        tr(
            "The name determines the registry: example.com/team/app:1 is pushed to example.com. "
            "A new name is added to the image first."
        ),
        tr("Push"),
        partial(actions.push, app, line),
        line.tag,
    ).open()


def ask_tag(app: AppContext, line: NamedImage) -> None:
    ImageNameDialog(
        app.window.widget,
        tr("Add a name to {image}", image=line.title),
        tr("The image keeps its tags."),
        tr("Add the name"),
        partial(actions.tag, app, line),
        line.tag,
    ).open()


def ask_save(app: AppContext, lines: Sequence[NamedImage]) -> None:
    name = lines[0].title if len(lines) == 1 else tr("images")
    given = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip("-") + ".tar"
    ask_save_path(
        app.window.widget,
        tr("Save as a tar file"),
        given,
        "tar",
        partial(actions.save, app, [line.ref for line in lines]),
    )


def ask_load(app: AppContext) -> None:
    ask_open(
        app.window.widget, tr("Load images from a tar file"), _kinds(), partial(actions.load, app)
    )


def ask_import(app: AppContext) -> None:
    """First a file, then the name of the image."""
    ask_open(
        app.window.widget,
        tr("Create an image from a root file system"),
        _kinds(),
        partial(_ask_import_name, app),
    )


def _ask_import_name(app: AppContext, path: Path) -> None:
    given = "".join(c for c in path.name.split(".")[0].lower() if c.isalnum() or c in "_-")
    ImageNameDialog(
        app.window.widget,
        tr("Import {name}", name=path.name),
        tr("The files become an image with one layer. Enter its name."),
        tr("Import"),
        partial(actions.import_tar, app, path),
        given.strip("_-"),
    ).open()


def _kinds() -> str:
    return ";;".join(
        (tr("Tar files ({patterns})", patterns=TAR_FILES), tr("All files ({any})", any="*"))
    )


def ask_prune(app: AppContext) -> None:
    """Shows what would go before anything goes."""

    def fetch() -> tuple[Pruned, ...]:
        images = app.connection.client.images
        return images.prune_preview(), images.prune_preview(all=True)

    wording = Wording(
        tr("Delete unused images"),
        tr(
            "Dangling images have lost their tags to newer builds and pulls. Images used by any "
            "container, running or stopped, are kept."
        ),
        tr("There is nothing to delete."),
        lambda n: plural("%n images would be deleted", "%n image would be deleted", n),
        tr("All images without containers, not only dangling ones"),
    )
    PruneDialog(app, app.window.widget, wording, fetch, partial(images_delete.prune, app)).open()
