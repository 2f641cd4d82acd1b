"""Actions on snapshots of the whole machine."""

from collections.abc import Callable

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n.text import moment, size, tr
from vm.errors import Problem
from vm.types import MachineSnapshot


def create(
    app: AppContext,
    name: str,
    memory: bool,
    done: Callable[[object], object],
    refused: Callable[[Problem], object],
) -> None:
    """The machine keeps running; with `memory` it is suspended meanwhile, and resumed."""

    def made(outcome: object) -> None:
        done(outcome)
        text = tr("Images, containers and volumes can be had again as they are now.")
        app.window.toast(tr("The snapshot {name} was made", name=name), text)

    title = tr("Create the snapshot {name}", name=name)
    params = {"name": name, "memory": memory}
    app.link.call(title, "snapshots.create", params, made, refused)


def restore(app: AppContext, kept: MachineSnapshot) -> None:
    """Asks before the present is lost. The machine is stopped, and started again where it ran."""

    def go(cold: bool) -> None:
        title = tr("Go back to the snapshot {name}", name=kept.name)
        params = {"name": kept.name, "cold": cold}
        app.link.call(title, "snapshots.restore", params, restored)

    def restored(_outcome: object) -> None:
        title = tr("The engine is as it was at {time}", time=moment(kept.made_at))
        app.window.toast(title, kept.name)

    prompt = DestructivePrompt(
        tr("Go back to {name}?", name=kept.name),
        tr(
            "Images, containers and volumes become what they were at {time}. What came since is "
            "lost, and running containers are stopped.",
            time=moment(kept.made_at),
        ),
        tr("All snapshots and settings stay."),
        tr("Go back"),
        choice=tr("Leave its memory out: containers do not go on where they were")
        if kept.memory_bytes
        else "",
    )
    app.window.choose(prompt, go)


def delete(app: AppContext, kept: MachineSnapshot) -> None:
    """Asks first."""

    def go() -> None:
        title = tr("Delete the snapshot {name}", name=kept.name)
        app.link.call(title, "snapshots.delete", {"name": kept.name})

    prompt = DestructivePrompt(
        tr("Delete the snapshot {name}?", name=kept.name),
        tr(
            "What only it still has of {time} is lost for good. It takes {size}.",
            time=moment(kept.made_at),
            size=size(kept.used_bytes + kept.memory_bytes),
        ),
        tr("The engine and other snapshots stay as they are."),
        tr("Delete"),
    )
    app.window.confirm(prompt, go)
