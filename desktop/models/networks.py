"""The list of networks: columns and words."""

from desktop.i18n.text import age, tr
from desktop.models.rows import Cell, Column, RowsModel
from desktop.stores.engine import EngineStores
from engine.docker.types import Attachment, Container, Network

NONE = "–"


def subnet_text(row: Network) -> str:
    return ", ".join(row.subnets) or NONE


def kind_text(row: Network) -> str:
    """Its distinguishing properties."""
    marks = [tr("built in")] if row.is_builtin else []
    if row.internal:
        marks.append(tr("internal"))
    return ", ".join(marks)


def running_on(stores: EngineStores, row: Network) -> list[Attachment]:
    """The running containers on it; a stopped one is only configured for it."""
    containers = stores.containers.rows
    return [
        each
        for each in row.attached
        if (found := containers.get(each.container_id)) is not None and found.state.is_up
    ]


def attached(stores: EngineStores, row: Network) -> list[tuple[Container, str]]:
    """The containers on it with their addresses, by name."""
    containers = stores.containers.rows
    found = [
        (containers[each.container_id], each.address)
        for each in row.attached
        if each.container_id in containers
    ]
    return sorted(found, key=lambda pair: pair[0].name)


def haystack(row: Network) -> str:
    names = " ".join(each.container for each in row.attached)
    return f"{row.name} {row.driver} {row.id[:12]} {' '.join(row.subnets)} {names}"


def network_columns(stores: EngineStores) -> tuple[Column[Network], ...]:

    def kind(row: Network) -> str:
        return stores.networks.busy.get(row.id) or kind_text(row)

    return (
        Column(tr("Name"), lambda row: row.name, 170, Cell.NAME, stretch=True),
        Column(tr("Driver"), lambda row: row.driver, 84, Cell.MONO),
        Column(tr("Subnet"), subnet_text, 150, Cell.MONO),
        Column(tr("Gateway"), lambda row: row.gateway or NONE, 116, Cell.MONO, leaves=3),
        Column(
            tr("Containers"),
            lambda row: str(len(row.attached)),
            92,
            Cell.NUMBER,
            lambda row: len(row.attached),
        ),
        Column(tr("Scope"), lambda row: row.scope, 72, Cell.SECONDARY, leaves=4),
        Column(tr("Kind"), kind, 110, Cell.SECONDARY, leaves=1),
        Column(
            tr("Created"), lambda row: age(row.created), 74, Cell.SECONDARY,
            lambda row: -row.created, leaves=2,
        ),
        Column("", lambda _row: "", 112, Cell.ACTIONS),
    )  # fmt: skip


def networks_model(stores: EngineStores) -> RowsModel[Network]:
    return RowsModel(stores.networks, network_columns(stores), lambda row: row.id, haystack)
