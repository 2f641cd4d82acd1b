"""Deletes images or their names.

One name of several is only untagged; the last one deletes the image. Without force dockerd refuses
an image in use, and the question says what force would lose before it is offered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n import messages
from desktop.i18n.text import listing, plural, size, tr
from desktop.models.images import NamedImage
from desktop.session.tasks import Task
from desktop.stores.engine import EngineStores
from desktop.stores.store import Delta
from engine.docker.types import Container, Pruned
from vm.errors import ObjectConflict, Problem

if TYPE_CHECKING:
    from engine.docker.client import DockerClient

    type Engine = Callable[[], DockerClient]

MOST_SENTENCES = 3  # on the containers that use an image


@dataclass(frozen=True)
class Removal:
    """What to delete of one image: some of its names, or all of it."""

    lines: tuple[NamedImage, ...]

    @property
    def is_whole(self) -> bool:
        return len(self.lines) >= len(self.lines[0].image.tags)

    @property
    def title(self) -> str:
        return self.lines[0].title

    def users(self, stores: EngineStores) -> list[Container]:
        return stores.users_of_image(self.lines[0].image)


def removals(lines: Sequence[NamedImage]) -> list[Removal]:
    by_image: dict[str, list[NamedImage]] = {}
    for line in lines:
        by_image.setdefault(line.image.id, []).append(line)
    return [Removal(tuple(found)) for found in by_image.values()]


def delete(app: AppContext, lines: Sequence[NamedImage]) -> None:
    """Asks once. Of several images those in use stay; one in use, or only such, are deleted by
    force."""
    planned = removals(lines)
    used = [one for one in planned if one.is_whole and one.users(app.stores)]
    free = [one for one in planned if one not in used]
    engine = app.connection.pinned()
    if free:
        prompt = prompt_for(free, _in_use(app, used) if used else "")
        app.window.confirm(prompt, partial(_remove_all, app, free, engine))
    elif used:
        prompt = _prompt_by_force(used, _in_use(app, used))
        app.window.confirm(prompt, partial(_remove_all, app, used, engine, True))


def prompt_for(planned: Sequence[Removal], in_use: str = "") -> DestructivePrompt:
    """`in_use`: the sentence on those that stay because a container uses them."""
    lines = [line for one in planned for line in one.lines]
    whole = [one for one in planned if one.is_whole]
    title = plural("Delete %n images?", "Delete {name}?", len(planned), name=lines[0].title)
    names = tuple(line.title for line in lines)
    stays = tr("{reason} They are not deleted.", reason=in_use) if in_use else ""
    if not whole:
        kept = next(tag for tag in lines[0].image.tags if tag not in {x.tag for x in lines})
        image_stays = tr("The image is kept as {name}.", name=kept)
        loses = plural("Only these tags are removed.", "Only this tag is removed.", len(lines))
        keeps = f"{image_stays} {stays}".strip()
        return DestructivePrompt(title, loses, keeps, tr("Delete"), names=names)
    freed = sum(one.lines[0].image.size for one in whole)
    loses = plural(
        "%n images ({size}) have to be pulled, loaded or built again before they can be used "
        "again.",
        "The image ({size}) has to be pulled, loaded or built again before it can be used again.",
        len(whole),
        size=size(freed),
    )
    keeps = tr("Containers, volumes, and layers that other images use are kept.")
    return DestructivePrompt(title, loses, f"{stays} {keeps}".strip(), tr("Delete"), names=names)


def _in_use(app: AppContext, used: Sequence[Removal]) -> str:
    """Which containers use them: a sentence for each image, or one for all if they are many."""
    if len(used) > MOST_SENTENCES:
        users = {row.name: None for one in used for row in one.users(app.stores)}
        return tr("{n} images are used by {users}.", n=len(used), users=listing(users))
    return " ".join(
        tr("{name} is used by {users}.", name=one.title, users=listing(names))
        for one in used
        if (names := [row.name for row in one.users(app.stores)])
    )


def _remove_all(
    app: AppContext, planned: Sequence[Removal], engine: "Engine", force: bool = False
) -> None:
    for one in planned:
        _remove(app, one, engine, len(planned) == 1, force)


def _remove(
    app: AppContext, removal: Removal, engine: "Engine", alone: bool, force: bool = False
) -> None:
    """`alone`: it is the only one that goes, so that a refusal can be talked about at once."""
    refs = [line.ref for line in removal.lines]

    def work(_task: Task) -> None:
        for ref in refs:
            engine().images.remove(ref, force)

    def failed(problem: Problem) -> bool:
        _unmark(app, removal)
        offered = alone and not force and problem.kind == ObjectConflict.__name__
        if offered:
            _offer_force(app, removal, engine, problem)
        return offered

    _mark(app, removal, tr("deleting…"))
    title = tr("Delete {name}", name=removal.title)
    app.tasks.start(title, work, lambda _none: _unmark(app, removal), failed)


def _offer_force(app: AppContext, removal: Removal, engine: "Engine", problem: Problem) -> None:
    """A container uses it since the question."""
    reason = _in_use(app, [removal]) or messages.summary(problem)
    prompt = _prompt_by_force([removal], reason)
    app.window.confirm(prompt, partial(_remove, app, removal, engine, True, True))


def _prompt_by_force(used: Sequence[Removal], reason: str) -> DestructivePrompt:
    title = plural("%n images are in use", "{name} is in use", len(used), name=used[0].title)
    loses = plural(
        "Forced deletion removes the tags and, unless running containers use them, the files of "
        "the images. Containers that use them are kept, but cannot be recreated from these tags.",
        "Forced deletion removes the tag and, unless a running container uses them, the files of "
        "the image. Containers that use it are kept, but cannot be recreated from this tag.",
        len(used),
    )
    return DestructivePrompt(
        title,
        f"{reason} {loses}",
        tr("Or delete the containers first; then force is not needed."),
        tr("Delete by force"),
        names=tuple(one.title for one in used),
    )


def _mark(app: AppContext, removal: Removal, word: str) -> None:
    store = app.stores.images
    for line in removal.lines:
        store.busy[line.key] = word
    store.changed.emit(Delta(changed=(removal.lines[0].image.id,)))


def _unmark(app: AppContext, removal: Removal) -> None:
    for line in removal.lines:
        app.stores.images.settle(line.key)


def prune(app: AppContext, all_unused: bool) -> Task:
    engine = app.connection.pinned()

    def work(_task: Task) -> Pruned:
        return engine().images.prune(all_unused)

    def done(pruned: Pruned) -> None:
        app.stores.images.load()
        count = len(pruned.names)
        title = plural("%n images were deleted", "%n image was deleted", count)
        app.window.toast(title, tr("{size} of disk space freed.", size=size(pruned.bytes)))

    return app.tasks.start(tr("Delete unused images"), work, done)
