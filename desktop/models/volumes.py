"""The list of volumes: columns, and data from outside of their rows."""

from desktop.i18n.text import age, size, tr
from desktop.models.rows import Cell, Column, RowsModel
from desktop.stores.engine import EngineStores
from engine.docker.types import Container, Volume

NONE = "–"


class VolumeFacts:
    """Sizes and users by name; computed again when their sources have changed."""

    def __init__(self, stores: EngineStores) -> None:
        self._stores = stores
        self._sizes: dict[str, int] | None = None
        self._users: dict[str, list[Container]] | None = None
        stores.facts_changed.connect(self._forget)
        stores.containers.changed.connect(self._forget)

    def size(self, name: str) -> int:
        """-1: not counted."""
        if self._sizes is None:
            disk = self._stores.disk
            self._sizes = dict(disk.volume_sizes) if disk else {}
        return self._sizes.get(name, -1)

    def size_text(self, name: str) -> str:
        known = self.size(name)
        if known >= 0:
            return size(known)
        return tr("calculating…") if self._stores.is_counting else NONE

    def users(self, name: str) -> list[Container]:
        if self._users is None:
            self._users = {}
            for row in self._stores.containers.rows.values():
                for mount in row.mounts:
                    self._users.setdefault(mount, []).append(row)
        return self._users.get(name, [])

    def total(self) -> int:
        return sum(max(self.size(name), 0) for name in self._stores.volumes.rows)

    def _forget(self, _delta: object = None) -> None:
        self._sizes = self._users = None


def volume_columns(stores: EngineStores, facts: VolumeFacts) -> tuple[Column[Volume], ...]:

    def used_by(row: Volume) -> str:
        busy = stores.volumes.busy.get(row.name)
        users = ", ".join(user.name for user in facts.users(row.name))
        return busy or users or tr("unused")

    return (
        Column(tr("Name"), lambda row: row.name, 190, Cell.NAME, stretch=True),
        Column(tr("Driver"), lambda row: row.driver, 100, Cell.MONO, leaves=2),
        Column(
            tr("Size"),
            lambda row: facts.size_text(row.name),
            100,
            Cell.NUMBER,
            lambda row: facts.size(row.name),
        ),
        Column(tr("Used by"), used_by, 200),
        Column(
            tr("Created"), lambda row: age(row.created), 84, Cell.SECONDARY,
            lambda row: -row.created, leaves=1,
        ),
        Column("", lambda _row: "", 112, Cell.ACTIONS),
    )  # fmt: skip


def haystack(row: Volume) -> str:
    labels = " ".join(f"{name}={value}" for name, value in row.labels)
    return f"{row.name} {row.driver} {labels}"


def volumes_model(stores: EngineStores, facts: VolumeFacts) -> RowsModel[Volume]:
    """The facts have to be connected before the model is, which reads them."""
    model = RowsModel(
        stores.volumes,
        volume_columns(stores, facts),
        lambda row: row.name,
        lambda row: f"{haystack(row)} {' '.join(user.name for user in facts.users(row.name))}",
    )

    def again(_delta: object = None) -> None:
        model.rearrange(set(stores.volumes.rows))

    stores.facts_changed.connect(again)
    stores.containers.changed.connect(again)
    return model
