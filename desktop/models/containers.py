"""The list of containers: columns, groups, words."""

from collections.abc import Callable

from desktop.i18n.text import age, percent, plural, size, tr
from desktop.models.rows import Cell, Column, Heading, RowsModel
from desktop.stores.engine import EngineStores
from desktop.stores.usage import Usage
from engine.docker.types import Container, ContainerState

NONE = "–"
HEALTH_DOTS = {"starting": "paused", "unhealthy": "error"}  # in between, and wrong


def is_unhealthy(row: Container) -> bool:
    return row.state is ContainerState.RUNNING and row.health == "unhealthy"


def _health_word(health: str) -> str:
    match health:
        case "starting":
            return tr("starting")
        case "healthy":
            return tr("healthy")
        case "unhealthy":
            return tr("unhealthy")
    return ""


def state_word(row: Container) -> str:
    """The state for users: of a container with a health check its result; of an exited one its
    code."""
    match row.state:
        case ContainerState.RUNNING:
            return _health_word(row.health) or tr("running")
        case ContainerState.EXITED | ContainerState.DEAD:
            if row.exit_code:
                return tr("failed ({code})", code=row.exit_code)
            return tr("exited (0)") if row.exit_code == 0 else tr("exited")
        case ContainerState.CREATED:
            return tr("created")
        case ContainerState.PAUSED:
            return tr("paused")
        case ContainerState.RESTARTING:
            return tr("restarting")
    return tr("being deleted")


def state_dot(row: Container) -> str:
    match row.state:
        case ContainerState.RUNNING:
            return HEALTH_DOTS.get(row.health, "running")
        case ContainerState.PAUSED | ContainerState.RESTARTING:
            return "paused"
        case ContainerState.EXITED | ContainerState.DEAD if row.exit_code:
            return "error"
    return "exited"


def port_links(row: Container) -> list[str]:
    """The published TCP ports, each once: IPv4 and IPv6 are one link."""
    return [str(port) for port in dict.fromkeys(p.host_port for p in row.ports if p.host_port)]


def port_rest(row: Container) -> str:
    """The text after the links: where they lead, or ports that are exposed only."""
    published = [port for port in row.ports if port.host_port]
    inside = list(dict.fromkeys(p.container_port for p in published))
    if len(inside) == 1:
        return f"→ {inside[0]}"
    return ""


def has_failed(row: Container) -> bool:
    return row.state in (ContainerState.EXITED, ContainerState.DEAD) and bool(row.exit_code)


def heading_state(heading: Heading) -> str:
    """How many are in each state that matters; those that ended well do not."""
    rows, parts = heading.rows, []
    if running := sum(row.state is ContainerState.RUNNING for row in rows):
        parts.append(plural("%n running", "%n running", running))
    if paused := sum(row.state is ContainerState.PAUSED for row in rows):
        parts.append(plural("%n paused", "%n paused", paused))
    if restarting := sum(row.state is ContainerState.RESTARTING for row in rows):
        parts.append(plural("%n restarting", "%n restarting", restarting))
    if unhealthy := sum(map(is_unhealthy, rows)):
        parts.append(plural("%n unhealthy", "%n unhealthy", unhealthy))
    if failed := sum(map(has_failed, rows)):
        parts.append(plural("%n failed", "%n failed", failed))
    return ", ".join(parts) or tr("stopped")


def heading_dot(heading: Heading) -> str:
    """Coloured only where something is wrong."""
    return "error" if any(has_failed(row) or is_unhealthy(row) for row in heading.rows) else ""


def compose_group(row: Container) -> tuple[str, str, str] | None:
    if not row.project:
        return None
    return f"project:{row.project}", row.project, "· compose"


def haystack(row: Container) -> str:
    ports = " ".join(port_links(row))
    return f"{row.name} {row.image} {row.project} {row.service} {row.id[:12]} {ports}"


def container_columns(stores: EngineStores, usage: Usage) -> tuple[Column[Container], ...]:

    def word(row: Container) -> str:
        return stores.containers.busy.get(row.id) or state_word(row)

    def cpu(row: Container) -> str:
        used = usage.cpu(row.id) if row.state is ContainerState.RUNNING else None
        return NONE if used is None else percent(used)

    def memory(row: Container) -> str:
        used = usage.memory(row.id)
        return NONE if used is None else size(used)

    name, image = tr("Name"), tr("Image")
    return (
        Column(name, _name, 140, Cell.NAME, heading=lambda h: h.title, stretch=True),
        Column(image, lambda row: row.image, 110, Cell.MONO, None, True, _folder, leaves=1),
        Column(tr("State"), word, 112, Cell.STATE, heading=heading_state),
        Column(tr("Ports"), port_rest, 124, Cell.LINKS, order=lambda row: row.ports),
        Column(tr("CPU"), cpu, 144, Cell.USAGE, _by(usage.cpu), leaves=2, narrow=76, is_live=True),
        Column(tr("Memory"), memory, 92, Cell.NUMBER, _by(usage.memory), leaves=3, is_live=True),
        Column(
            tr("Age"),
            lambda row: age(row.created),
            70,
            Cell.SECONDARY,
            lambda row: -row.created,
            leaves=4,
        ),
        Column("", lambda _row: "", 112, Cell.ACTIONS),
    )


def containers_model(stores: EngineStores, usage: Usage) -> RowsModel[Container]:
    model = RowsModel(
        stores.containers,
        container_columns(stores, usage),
        lambda row: row.id,
        haystack,
        compose_group,
    )
    usage.changed.connect(model.touch)
    return model


def _folder(heading: Heading) -> str:
    return next((row.project_folder for row in heading.rows if row.project_folder), "")


def _name(row: Container) -> str:
    return row.service or row.name if row.project else row.name


def _by(used: Callable[[str], float | None]) -> Callable[[Container], float]:
    def order(row: Container) -> float:
        found = used(row.id)
        return -1.0 if found is None else found

    return order
