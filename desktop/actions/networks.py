"""Actions on networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n.text import listing, plural, tr
from desktop.models.networks import running_on
from desktop.session.tasks import Task
from engine.docker.types import Container, Network, Pruned
from vm.errors import ObjectConflict, Problem
from vm.messages import Message

if TYPE_CHECKING:
    from engine.docker.networks import Networks

type Answered = Callable[[object], object]
type Refused = Callable[[Problem], object]


@dataclass(frozen=True)
class NewNetwork:
    """ "" leaves an option to the engine."""

    name: str
    driver: str
    subnet: str = ""
    gateway: str = ""
    internal: bool = False


def create(app: AppContext, new: NewNetwork, done: Answered, refused: Refused) -> Task:
    def work(_task: Task) -> None:
        _api(app).create(new.name, new.driver, new.subnet, new.gateway, new.internal)

    title = tr("Create {name}", name=new.name)
    return app.tasks.start(title, work, partial(_loaded, app, done), refused)


def connect(
    app: AppContext,
    network: Network,
    container: Container,
    aliases: Sequence[str],
    address: str,
    done: Answered,
    refused: Refused,
) -> Task:
    def work(_task: Task) -> None:
        _api(app).connect(network.id, container.id, aliases, address)

    title = tr("Connect {container} to {network}", container=container.name, network=network.name)
    return app.tasks.start(title, work, partial(_loaded, app, done), refused)


def disconnect(app: AppContext, network: Network, container: Container) -> Task:
    """Does not ask, for nothing is lost; the toast offers to undo it."""

    def work(_task: Task) -> None:
        _api(app).disconnect(network.id, container.id)

    def again() -> None:
        connect(app, network, container, (), "", lambda _done: None, lambda _problem: False)

    def done(_outcome: object) -> None:
        text = tr(
            "{container} is not on {network} now", container=container.name, network=network.name
        )
        app.window.toast(text, action=(tr("Connect again"), again))

    title = tr(
        "Disconnect {container} from {network}", container=container.name, network=network.name
    )
    return app.tasks.start(title, work, partial(_loaded, app, done))


def delete(app: AppContext, rows: Sequence[Network]) -> None:
    """Asks once; running containers are disconnected first, and the question says so."""
    wanted = [row for row in rows if not row.is_builtin]
    if not wanted:
        if rows:
            app.window.complain(_built_in(rows[0]))
        return
    title = plural(
        "Delete %n networks?", "Delete the network {name}?", len(wanted), name=wanted[0].name
    )
    running = {one.container: None for row in wanted for one in running_on(app.stores, row)}
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
    prompt = DestructivePrompt(title, " ".join(loses), keeps, tr("Delete"), names=names)
    app.window.confirm(prompt, lambda: _delete_each(app, wanted))


def unused(app: AppContext) -> tuple[Pruned, ...]:
    """What a prune removes: networks of no running container."""
    rows = [
        row
        for row in app.stores.networks.rows.values()
        if not row.is_builtin and not running_on(app.stores, row)
    ]
    return (Pruned(tuple(row.name for row in rows), 0),)


def prune(app: AppContext) -> Task:
    engine = app.connection.pinned()

    def work(_task: Task) -> Pruned:
        return engine().networks.prune()

    def done(gone: Pruned) -> None:
        app.stores.networks.load()
        count = plural("%n networks were deleted", "%n network was deleted", len(gone.names))
        app.window.toast(count, listing(gone.names))

    return app.tasks.start(tr("Delete unused networks"), work, done)


def inspect(app: AppContext, network: str) -> bytes:
    """In a worker thread."""
    return _api(app).inspect(network)


def _api(app: AppContext) -> "Networks":
    return app.connection.client.networks


def _built_in(row: Network) -> Problem:
    return ObjectConflict(
        Message(
            "",
            tr("{name} is built into the Docker Engine.", name=row.name),
            tr("It cannot be deleted."),
        ),
    ).to_problem()


def _delete_each(app: AppContext, rows: Sequence[Network]) -> None:
    store = app.stores.networks
    for row in rows:
        store.set_busy(row.id, tr("deleting…"))
        held = [one.container_id for one in running_on(app.stores, row)]
        over = partial(_settle, app, row.id)
        work = partial(_delete, app, row.id, held)
        app.tasks.start(tr("Delete {name}", name=row.name), work, over, over)


def _delete(app: AppContext, network: str, held: Sequence[str], _task: Task) -> None:
    for container in held:
        _api(app).disconnect(network, container)
    _api(app).remove(network)


def _settle(app: AppContext, network: str, _outcome: object) -> None:
    app.stores.networks.settle(network)


def _loaded(app: AppContext, done: Answered, outcome: object) -> None:
    app.stores.networks.load()
    done(outcome)
