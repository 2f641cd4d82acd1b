"""What can be done to networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from desktop.context import Desk, Loss
from desktop.i18n.text import listing, plural, tr
from desktop.models.networks import running_on
from desktop.session.tasks import Task
from engine.docker.types import Container, Network, Pruned
from vm.errors import ObjectConflict, Problem

if TYPE_CHECKING:
    from engine.docker.networks import Networks

type Answered = Callable[[object], object]
type Refused = Callable[[Problem], object]


@dataclass(frozen=True)
class NewNetwork:
    """What is asked for; "" leaves a thing to the engine."""

    name: str
    driver: str
    subnet: str = ""
    gateway: str = ""
    internal: bool = False


def create(desk: Desk, new: NewNetwork, done: Answered, refused: Refused) -> Task:
    def work(_task: Task) -> None:
        _api(desk).create(new.name, new.driver, new.subnet, new.gateway, new.internal)

    title = tr("Create {name}", name=new.name)
    return desk.tasks.start(title, work, partial(_loaded, desk, done), refused)


def connect(
    desk: Desk,
    network: Network,
    container: Container,
    aliases: Sequence[str],
    address: str,
    done: Answered,
    refused: Refused,
) -> Task:
    def work(_task: Task) -> None:
        _api(desk).connect(network.id, container.id, aliases, address)

    title = tr("Connect {container} to {network}", container=container.name, network=network.name)
    return desk.tasks.start(title, work, partial(_loaded, desk, done), refused)


def disconnect(desk: Desk, network: Network, container: Container) -> Task:
    """Nothing is lost by it, so that it does not ask; the way back is in the toast."""

    def work(_task: Task) -> None:
        _api(desk).disconnect(network.id, container.id)

    def again() -> None:
        connect(desk, network, container, (), "", lambda _done: None, lambda _problem: False)

    def done(_outcome: object) -> None:
        said = tr(
            "{container} is not on {network} now", container=container.name, network=network.name
        )
        desk.shell.toast(said, action=(tr("Connect again"), again))

    title = tr(
        "Disconnect {container} from {network}", container=container.name, network=network.name
    )
    return desk.tasks.start(title, work, partial(_loaded, desk, done))


def delete(desk: Desk, rows: Sequence[Network]) -> None:
    """Asks once; running containers are disconnected first, and the question says so."""
    wanted = [row for row in rows if not row.is_builtin]
    if not wanted:
        if rows:
            desk.shell.complain(_built_in(rows[0]))
        return
    title = plural(
        len(wanted), "Delete the network {name}?", "Delete {n} networks?", name=wanted[0].name
    )
    running = {one.container: None for row in wanted for one in running_on(desk.stores, row)}
    stopped = {one.container: None for row in wanted for one in row.attached}
    loses = [tr("Its settings are lost.") if len(wanted) == 1 else tr("Their settings are lost.")]
    if running:
        loses.append(
            tr("Disconnected first, while running: {names}.", names=listing(sorted(running)))
        )
    idle = [name for name in stopped if name not in running]
    if idle:
        loses.append(
            tr("Stopped, and cannot start again without it: {names}.", names=listing(sorted(idle)))
        )
    keeps, names = tr("No container is deleted."), tuple(row.name for row in wanted)
    loss = Loss(title, " ".join(loses), keeps, tr("Delete"), names=names)
    desk.shell.confirm(loss, lambda: _delete_each(desk, wanted))


def unused(desk: Desk) -> tuple[Pruned, ...]:
    """What a prune takes: networks that no running container is on."""
    rows = [
        row
        for row in desk.stores.networks.rows.values()
        if not row.is_builtin and not running_on(desk.stores, row)
    ]
    return (Pruned(tuple(row.name for row in rows), 0),)


def prune(desk: Desk) -> Task:
    engine = desk.connection.pinned()

    def work(_task: Task) -> Pruned:
        return engine().networks.prune()

    def done(gone: Pruned) -> None:
        desk.stores.networks.load()
        count = plural(len(gone.names), "{n} network was deleted", "{n} networks were deleted")
        desk.shell.toast(count, listing(gone.names))

    return desk.tasks.start(tr("Delete unused networks"), work, done)


def inspect(desk: Desk, network: str) -> bytes:
    """In a worker thread."""
    return _api(desk).inspect(network)


def _api(desk: Desk) -> "Networks":
    return desk.connection.client.networks


def _built_in(row: Network) -> Problem:
    return ObjectConflict(
        tr("{name} is built into the Docker Engine.", name=row.name),
        tr("It cannot be deleted."),
    ).to_problem()


def _delete_each(desk: Desk, rows: Sequence[Network]) -> None:
    store = desk.stores.networks
    for row in rows:
        store.set_busy(row.id, tr("deleting…"))
        held = [one.container_id for one in running_on(desk.stores, row)]
        over = partial(_settle, desk, row.id)
        work = partial(_delete, desk, row.id, held)
        desk.tasks.start(tr("Delete {name}", name=row.name), work, over, over)


def _delete(desk: Desk, network: str, held: Sequence[str], _task: Task) -> None:
    for container in held:
        _api(desk).disconnect(network, container)
    _api(desk).remove(network)


def _settle(desk: Desk, network: str, _outcome: object) -> None:
    desk.stores.networks.settle(network)


def _loaded(desk: Desk, done: Answered, outcome: object) -> None:
    desk.stores.networks.load()
    done(outcome)
