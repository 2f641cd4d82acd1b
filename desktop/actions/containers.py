"""Actions on containers."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n.text import listing, plural, tr
from desktop.session.tasks import Task
from desktop.stores.store import Store
from engine.docker.types import Container, ContainerState, Port, RunSpec
from vm.errors import ObjectGone, Problem

if TYPE_CHECKING:
    from engine.docker.containers import Containers


def start(app: AppContext, rows: Sequence[Container]) -> None:
    idle = [row for row in rows if not row.state.is_up]

    def begin(key: str) -> None:
        _api(app).start(key)
        app.tasks.invoker.invoke(partial(app.exit_notifier.expect, key))

    _each(app, idle, tr("Start {name}"), tr("starting…"), begin)


def stop(app: AppContext, rows: Sequence[Container]) -> None:
    up = [row for row in rows if row.state.is_up]
    _each(app, up, tr("Stop {name}"), tr("stopping…"), lambda key: _api(app).stop(key))


def restart(app: AppContext, rows: Sequence[Container]) -> None:
    _each(app, rows, tr("Restart {name}"), tr("restarting…"), lambda key: _api(app).restart(key))


def pause(app: AppContext, rows: Sequence[Container]) -> None:
    going = [row for row in rows if row.state is ContainerState.RUNNING]
    _each(app, going, tr("Pause {name}"), tr("pausing…"), lambda key: _api(app).pause(key))


def resume(app: AppContext, rows: Sequence[Container]) -> None:
    paused = [row for row in rows if row.state is ContainerState.PAUSED]
    _each(app, paused, tr("Resume {name}"), tr("resuming…"), lambda key: _api(app).unpause(key))


def kill(app: AppContext, rows: Sequence[Container]) -> None:
    up = [row for row in rows if row.state.is_up]
    _each(app, up, tr("Kill {name}"), tr("killing…"), lambda key: _api(app).kill(key))


def switch(app: AppContext, rows: Sequence[Container]) -> None:
    """Start stopped ones, resume paused ones; if there are none, stop all."""
    if any(row.state is ContainerState.PAUSED for row in rows):
        resume(app, rows)
    elif any(not row.state.is_up for row in rows):
        start(app, rows)
    else:
        stop(app, rows)


def delete(app: AppContext, rows: Sequence[Container]) -> None:
    """Asks once; running ones are stopped, and the question says so."""
    if not rows:
        return
    running = [row.name for row in rows if row.state.is_up]
    title = plural("Delete %n containers?", "Delete {name}?", len(rows), name=rows[0].name)
    loses = [tr("Files outside volumes are lost.")]
    if running and len(rows) == 1:
        loses.insert(0, tr("It is running and will be killed first."))
    elif running:
        loses.insert(0, tr("Running, and killed first: {names}.", names=listing(running)))
    prompt = DestructivePrompt(
        title,
        " ".join(loses),
        tr("Images and named volumes are kept."),
        tr("Delete"),
        names=tuple(row.name for row in rows),
    )
    app.window.confirm(
        prompt,
        lambda: _each(
            app,
            rows,
            tr("Delete {name}"),
            tr("deleting…"),
            lambda key: _api(app).remove(key, force=True),
        ),
    )


def rename(app: AppContext, row: Container, name: str) -> None:
    _each(app, [row], tr("Rename {name}"), tr("renaming…"), lambda key: _api(app).rename(key, name))


def run(
    app: AppContext,
    spec: RunSpec,
    opened: Callable[[str], object] | None = None,
    refused: Callable[[Problem], bool] = lambda _problem: False,
) -> Task:
    """Pull if needed, create, start; then show the address. `refused`: as the `failed` of a
    task."""

    def work(task: Task) -> tuple[str, str]:
        from engine.docker.running import run_image

        client = app.connection.client
        key = run_image(client, spec, task.cancel, task.report)
        with contextlib.suppress(ObjectGone):  # it is removed at its end, which may be now
            return key, client.containers.detail(key).name
        return key, spec.name or spec.image

    def done(made: tuple[str, str]) -> None:
        key, name = made
        app.stores.containers.load()
        app.exit_notifier.expect(key)
        ports = [port for port in spec.ports if port.host_port > 0 and port.protocol == "tcp"]
        open_it = (tr("Open"), lambda: open_port(app, ports[0])) if ports else None
        show = (tr("Show"), lambda: app.window.go("containers", key))
        app.window.toast(tr("{name} is running", name=name), action=open_it or show)
        if opened is not None:
            opened(key)

    title = tr("Run {image}", image=spec.image)
    if spec.name:
        title = tr("Run {image} as {name}", image=spec.image, name=spec.name)
    return app.tasks.start(title, work, done, refused)


def recreate(
    app: AppContext,
    row: Container,
    spec: RunSpec,
    opened: Callable[[str], object] | None = None,
    refused: Callable[[Problem], bool] = lambda _problem: False,
) -> Task:
    """The old one stays until the new one runs. `refused`: as the `failed` of a task."""

    def work(_task: Task) -> str:
        from engine.docker.recreate import recreate as again

        return again(app.connection.client.containers, row.id, spec)

    def done(key: str) -> None:
        app.stores.containers.load()
        app.window.toast(
            tr("{name} was recreated", name=row.name), tr("The container runs with the changes.")
        )
        app.window.go("containers", key)
        if opened is not None:
            opened(key)

    return app.tasks.start(tr("Recreate {name}", name=row.name), work, done, refused)


def prune(app: AppContext) -> None:
    """Delete every container that is not up."""
    rows = [row for row in app.stores.containers.rows.values() if not row.state.is_up]
    if rows:
        delete(app, rows)
    else:
        app.window.toast(tr("No stopped containers"), tr("There is nothing to clean up."))


def open_port(app: AppContext, port: Port) -> None:
    QDesktopServices.openUrl(QUrl(port_url(app, port)))


def port_url(app: AppContext, port: Port) -> str:
    """Where a published port answers, seen from here."""
    context = app.connection.context
    url = context.endpoint.url if context else ""
    host = QUrl(url).host() if url.startswith(("tcp", "ssh")) else "localhost"
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if port.container_port in (443, 8443) else "http"
    return f"{scheme}://{host}:{port.host_port}"


def copy_run_command(app: AppContext, row: Container) -> None:
    """`docker run …` that makes one like it."""

    def work() -> str:
        from engine.docker.running import run_command

        return run_command(app.connection.client.containers.detail(row.id).spec)

    def done(command: str) -> None:
        QGuiApplication.clipboard().setText(command)
        app.window.toast(tr("Copied"), command)

    app.tasks.quietly(work, done, app.window.complain)


def _api(app: AppContext) -> "Containers":
    return app.connection.client.containers


def _each(
    app: AppContext,
    rows: Sequence[Container],
    title: str,
    word: str,
    verb: Callable[[str], object],
) -> None:
    """One task for each, so that each failure is shown."""
    store = app.stores.containers
    for row in rows:
        store.set_busy(row.id, word)

        work = partial(_call, verb, row.id)
        over = partial(_settle, store, row.id)
        app.tasks.start(title.format(name=row.name), work, over, over)


def _call(verb: Callable[[str], object], key: str, _task: Task) -> None:
    verb(key)


def _settle(store: Store[Container], key: str, _outcome: object) -> None:
    store.settle(key)
