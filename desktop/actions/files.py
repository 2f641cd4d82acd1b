"""Files to and from a container."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from desktop.context import AppContext, DestructivePrompt
from desktop.i18n.text import plural, tr
from desktop.session.tasks import Task
from engine.docker.types import TransferProgress


def download(app: AppContext, container: str, paths: Sequence[str], folder: Path) -> Task:
    """Each under a name that the folder does not have yet."""

    def work(task: Task) -> str:
        files = app.connection.client.files
        last = ""
        for path in paths:
            last = _follow(task, files.download(container, path, folder, task.cancel)) or last
        return last

    title = plural(
        "Download %n items", "Download {name}", len(paths), name=paths[0].rpartition("/")[2] or "/"
    )
    return app.tasks.start(title, work, announce=True)


def upload(
    app: AppContext,
    container: str,
    folder: str,
    paths: Sequence[Path],
    taken: Iterable[str],
    done: Callable[[], object],
) -> None:
    """Asks when a file of the container would be replaced. `taken`: the names in `folder`."""

    def begin() -> None:
        _upload(app, container, folder, paths, done)

    lost = sorted({path.name for path in paths} & set(taken))
    if not lost:
        begin()
        return
    prompt = DestructivePrompt(
        plural("Replace %n items?", "Replace {name}?", len(lost), name=lost[0]),
        tr("What the container has under this name in {folder} is overwritten.", folder=folder),
        tr("Other files in the folder are kept."),
        tr("Replace"),
    )
    app.window.confirm(prompt, begin)


def _upload(
    app: AppContext, container: str, folder: str, paths: Sequence[Path], done: Callable[[], object]
) -> Task:
    def work(task: Task) -> None:
        files = app.connection.client.files
        _follow(task, files.upload(container, folder, paths, task.cancel))

    title = plural(
        "Upload %n items to {folder}",
        "Upload {name} to {folder}",
        len(paths),
        name=paths[0].name,
        folder=folder,
    )
    return app.tasks.start(title, work, lambda _nothing: done())


def _follow(task: Task, progress: Iterable[TransferProgress]) -> str:
    """Pass each report to the task. Returns the last status."""
    status = ""
    for report in progress:
        status = report.status
        task.report(report.status, report.fraction, report)
    return status
