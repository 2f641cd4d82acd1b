"""Actions on Galley's own engine as a whole.

`start`, `stop` and `restart` show at once that they were requested (`Link.requested`), on every
page, in the palette, the tray and the banner.
"""

from collections.abc import Callable

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n import messages
from desktop.i18n.text import listing, tr
from desktop.session.link import EngineRequest
from desktop.session.tasks import Task
from vm.errors import Problem
from vm.messages import Text
from vm.types import MachineState

RESET_WORD = "reset"  # what has to be typed


def start(app: AppContext, failed: Callable[[Problem], object] | None = None) -> Task:
    """`failed` as in `Tasks.start`. A supervisor that did not come up is tried again first."""
    app.link.retry()
    return app.link.request(EngineRequest.START, tr("Start the engine"), failed=failed)


def stop(app: AppContext, done: Callable[[object], object] | None = None) -> Task:
    return app.link.request(EngineRequest.STOP, tr("Stop the engine"), done)


def restart(app: AppContext) -> Task:
    return app.link.request(EngineRequest.RESTART, tr("Restart the engine"))


def reconnect(app: AppContext) -> None:
    """Retry the supervisor and the engine now, without waiting for the next attempt."""
    app.link.retry()
    app.connection.poke()


def replace_supervisor(app: AppContext) -> Task:
    """End the supervisor that runs, of whatever version, and start ours; the machine runs on."""
    home = app.link.home

    def work(_task: Task) -> None:
        from engine.client.launch import restart_supervisor

        restart_supervisor(home).close()

    title = tr("Restart Galley's background process")
    return app.tasks.start(title, work, lambda _none: app.link.retry())


def waits_for_restart(app: AppContext) -> bool:
    """Whether a newer guest image is there, which the engine does not use yet."""
    status = app.link.status
    return status is not None and status.image is not None and bool(status.image.waiting)


def update_title(app: AppContext) -> str:
    """What `update_image` does."""
    if waits_for_restart(app):
        return tr("Restart with the new image")
    return tr("Update the guest image")


def update_image(app: AppContext) -> Task | None:
    """Download or build the newest image; the next cold start uses it, what runs is not touched.
    If a newer image is there already, restart with it; that asks first if containers may run, and
    returns None then."""
    if waits_for_restart(app):
        return _restart_with_image(app)
    home = app.link.home

    def work(task: Task) -> None:
        from datetime import UTC, datetime

        from engine.client.launch import connect_only
        from engine.lifecycle.image_origin import origin_of
        from engine.settings.store import SettingsStore

        def tell(text: Text) -> None:
            task.report(messages.said(text))

        origin = origin_of(home, SettingsStore(home))
        origin.get(home.images, datetime.now(UTC), tell)
        client = connect_only(home)
        if client is not None:
            with client:
                client.call("image.refresh")

    return app.tasks.start(tr("Update the guest image"), work)


def _restart_with_image(app: AppContext) -> Task | None:
    """Asks first, unless it is known that no container runs."""
    store, is_ours = app.stores.containers, app.connection.is_ours
    running = [row.name for row in store.rows.values() if row.state.is_up] if is_ours else []
    if _is_off(app) or (is_ours and store.is_loaded and not running):
        return restart(app)
    loses = tr("Running containers are stopped.")
    if running:
        loses = tr("Running, and stopped first: {names}.", names=listing(running))
    prompt = DestructivePrompt(
        tr("Restart with the new image?"),
        loses,
        tr("Images, containers and volumes are kept."),
        tr("Restart"),
    )
    app.window.confirm(prompt, lambda: restart(app))
    return None


def _is_off(app: AppContext) -> bool:
    """Whether the machine holds nothing that a restart ends."""
    status = app.link.status
    off = (MachineState.ABSENT, MachineState.STOPPED)
    return status is not None and status.machine.state in off and not status.machine.resumable


def reset(app: AppContext, started: Callable[[Task], object]) -> None:
    """Delete the machine, all settings and what the window remembers. Asks first; `started` gets
    the task."""
    prompt = DestructivePrompt(
        tr("Reset Galley?"),
        tr(
            "The engine is stopped. All images, containers and volumes in its virtual machine, "
            "its snapshots, your settings, daemon.json and the state of the window are "
            "permanently deleted."
        ),
        tr(
            "Kept: folders of this computer that containers use, other Docker engines, the guest "
            "image and the logs in {folder}.",
            folder=app.link.home.root,
        ),
        tr("Reset"),
        RESET_WORD,
    )
    app.window.confirm(prompt, lambda: started(_reset(app)))


def _reset(app: AppContext) -> Task:
    """Reset, then replace the supervisor, since the running one has read the old settings."""
    home = app.link.home

    def work(task: Task) -> None:
        from engine.client.launch import ensure_supervisor, restart_supervisor

        with ensure_supervisor(home) as client, task.cancel.closing(client.close):
            client.call("reset")
        restart_supervisor(home).close()

    def done(_none: object) -> None:
        app.prefs.clear()
        app.theme.choose("system")
        app.link.retry()
        app.window.toast(tr("Galley was reset"))

    return app.tasks.start(tr("Reset Galley"), work, done)
