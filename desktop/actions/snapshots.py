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
        text = tr("Images, containers and volumes can be restored to their present state.")
        app.window.toast(tr("The snapshot {name} was created", name=name), text)

    title = tr("Create the snapshot {name}", name=name)
    params = {"name": name, "memory": memory}
    app.link.call(title, "snapshots.create", params, made, refused)


def restore(app: AppContext, kept: MachineSnapshot) -> None:
    """Asks before the current state is lost. The machine is stopped, and started again where it
    ran."""

    def go(cold: bool) -> None:
        title = tr("Restore the snapshot {name}", name=kept.name)
        params = {"name": kept.name, "cold": cold}
        app.link.call(title, "snapshots.restore", params, restored)

    def restored(_outcome: object) -> None:
        title = tr("The engine was restored to {time}", time=moment(kept.made_at))
        app.window.toast(title, kept.name)

    prompt = DestructivePrompt(
        tr("Restore {name}?", name=kept.name),
        tr(
            "Images, containers and volumes return to their state at {time}. Later changes are "
            "lost, and running containers are stopped.",
            time=moment(kept.made_at),
        ),
        tr("Snapshots and settings are kept."),
        tr("Restore"),
        choice=tr("Without its memory: running containers are not resumed")
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
            "Data of {time} that only this snapshot has is permanently deleted. It uses {size}.",
            time=moment(kept.made_at),
            size=size(kept.used_bytes + kept.memory_bytes),
        ),
        tr("The engine and other snapshots do not change."),
        tr("Delete"),
    )
    app.window.confirm(prompt, go)
