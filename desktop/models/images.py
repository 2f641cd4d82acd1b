"""The list of images, one line for each name.

An image with several names has several lines; one without a name has a line with its id. Next:
`desktop/pages/images/page.py`.
"""

from dataclasses import dataclass

from desktop.i18n.text import age, plural, short_id, size, tr
from desktop.models.rows import Cell, Column, RowsModel
from desktop.stores.engine import EngineStores
from engine.docker.types import Container, Image

NO_NAME = "<none>"
HOME = ("docker.io/library/", "docker.io/")  # what Docker leaves out of a name
SOME = 2  # names of containers that fit into a cell


@dataclass(frozen=True)
class NamedImage:
    """A line: an image under one of its names, "" where it has none."""

    image: Image
    tag: str

    @property
    def key(self) -> str:
        return f"{self.image.id} {self.tag}"

    @property
    def ref(self) -> str:
        """Its reference for Docker."""
        return self.tag or self.image.id

    @property
    def title(self) -> str:
        return self.tag or f"{NO_NAME} {short_id(self.image.id)}"

    @property
    def other_tags(self) -> tuple[str, ...]:
        return tuple(tag for tag in self.image.tags if tag != self.tag)


def names_of(image: Image) -> tuple[NamedImage, ...]:
    return tuple(NamedImage(image, tag) for tag in image.tags or ("",))


def find(stores: EngineStores, key: str) -> NamedImage | None:
    """The line of a key; the image alone, without a name, is its first line."""
    identity, _, tag = key.partition(" ")
    image = stores.images.rows.get(identity)
    if image is None:
        return None
    lines = names_of(image)
    return next((line for line in lines if line.tag == tag), lines[0])


def full_name(ref: str) -> str:
    """As Docker completes it, so that two ways to write one name are equal."""
    for prefix in HOME:
        ref = ref.removeprefix(prefix)
    return ref if ":" in ref.rpartition("/")[2] or "@" in ref else f"{ref}:latest"


def users(stores: EngineStores, line: NamedImage) -> list[Container]:
    """The containers that were made from this name, or from the image without naming it."""
    found = stores.users_of_image(line.image)
    others = {full_name(tag) for tag in line.other_tags}
    return [row for row in found if full_name(row.image) not in others]


def totals(stores: EngineStores) -> str:
    """The text beside the title."""
    rows = stores.images.rows
    used = {row.image_id for row in stores.containers.rows.values()}
    unused = sum(image.size for image in rows.values() if image.id not in used)
    whole = sum(image.size for image in rows.values())
    count = plural("%n images", "%n image", len(rows))
    names = sum(len(image.tags) for image in rows.values())
    if any(len(image.tags) > 1 for image in rows.values()):
        count = tr("{count}, {names} names", count=count, names=names)
    if not rows:
        return count
    if not unused:
        return tr("{count} · {size}", count=count, size=size(whole))
    return tr(
        "{count} · {size} · {unused} unused", count=count, size=size(whole), unused=size(unused)
    )


def images_model(stores: EngineStores) -> RowsModel[NamedImage]:
    def used_by(line: NamedImage) -> str:
        busy = stores.images.busy.get(line.key)
        if busy:
            return busy
        names = sorted(row.service or row.name for row in users(stores, line))
        if not names:
            return tr("unused")
        more = f" +{len(names) - SOME}" if len(names) > SOME else ""
        return ", ".join(names[:SOME]) + more

    columns: tuple[Column[NamedImage], ...] = (
        Column(tr("Image"), lambda line: line.title, 260, Cell.NAME, _by_name, stretch=True),
        Column(tr("ID"), lambda line: short_id(line.image.id), 116, Cell.MONO, leaves=2),
        Column(tr("Used by"), used_by, 200),
        Column(
            tr("Size"),
            lambda line: size(line.image.size),
            92,
            Cell.NUMBER,
            lambda line: line.image.size,
        ),
        Column(
            tr("Created"),
            lambda line: age(line.image.created),
            84,
            Cell.SECONDARY,
            lambda line: -line.image.created,
            leaves=1,
        ),
        Column("", lambda _line: "", 112, Cell.ACTIONS),
    )
    return RowsModel(stores.images, columns, lambda line: line.key, _haystack, explode=names_of)


def _by_name(line: NamedImage) -> tuple[bool, str]:
    return not line.tag, line.title.casefold()  # the nameless last


def _haystack(line: NamedImage) -> str:
    return f"{line.title} {short_id(line.image.id)}"
