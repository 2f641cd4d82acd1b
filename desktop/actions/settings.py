"""Changes Galley's settings, daemon.json, and docker's own context."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.session.tasks import Task
from vm.errors import Problem

if TYPE_CHECKING:
    from engine.settings.store import SettingsStore

type Done = Callable[[object], object]
type Failed = Callable[[Problem], object]


def change(
    app: AppContext, name: str, value: object, done: Done, failed: Failed | None = None
) -> Task:
    """`done` and `failed` as in `Tasks.start`, here and below."""

    def write(store: "SettingsStore") -> None:
        store.set(name, value)

    title = tr("Change the setting {name}", name=name)
    params = {"name": name, "value": value}
    return _change(app, title, "settings.set", params, write, done, failed)


def reset(app: AppContext, name: str, done: Done, failed: Failed | None = None) -> Task:
    """Back to the default."""

    def write(store: "SettingsStore") -> None:
        store.unset(name)

    title = tr("Reset the setting {name}", name=name)
    return _change(app, title, "settings.unset", {"name": name}, write, done, failed)


def apply_daemon_json(app: AppContext, text: str, done: Done, failed: Failed) -> Task:
    """dockerd validates it, then starts again with it, or as before."""
    return app.link.call(tr("Apply daemon.json"), "daemon.set", {"text": text}, done, failed)


def use_docker_context(app: AppContext) -> Task:
    """A plain `docker` reaches Galley's engine from now on."""
    home = app.link.home

    def work(_task: Task) -> None:
        from engine.dockercli import context

        context.use(home)

    return app.tasks.start(tr("Use Galley's docker context"), work)


def _change(
    app: AppContext,
    title: str,
    method: str,
    params: object,
    write: Callable[["SettingsStore"], None],
    done: Done,
    failed: Failed | None,
) -> Task:
    """A wrong setting may prevent the supervisor from starting. So where none runs, the file is
    written here, as the command line does, and the supervisor is tried again."""
    link = app.link

    def work(_task: Task) -> None:
        from engine.client.launch import connect_only
        from engine.settings.store import SettingsStore

        client = connect_only(link.home)
        if client is None:
            write(SettingsStore(link.home))
            link.retry()
            return
        with client:
            client.call(method, params)

    return app.tasks.start(title, work, done, failed)
