"""Saving a container's whole log."""

import errno
from datetime import datetime
from pathlib import Path
from typing import TextIO

from desktop.context import AppContext
from desktop.i18n.text import size, tr
from desktop.session.tasks import Task
from engine.docker.types import LogLine
from vm.errors import DiskFull, HostError
from vm.messages import Message


def save_log(app: AppContext, key: str, name: str, path: Path, moments: bool) -> Task:
    """All that the engine has kept, not only what is shown. `moments`: each line with its time."""
    title = tr("Save the log of {name}", name=name)
    return app.tasks.start(title, lambda task: _save(app, key, path, moments, task), announce=True)


def _save(app: AppContext, key: str, path: Path, moments: bool, task: Task) -> str:
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            _write(app, key, file, moments, task)
        part.replace(path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        part.unlink(missing_ok=True)
    return str(path)


def _write(app: AppContext, key: str, file: TextIO, moments: bool, task: Task) -> None:
    from engine.docker.streams import ALL, logs

    containers = app.connection.client.containers
    begins, done = True, 0
    for batch in logs(containers, key, task.cancel, follow=False, tail=ALL):
        for line in batch:
            file.write(_text(line, moments and begins))
            begins = not line.goes_on
            done += len(line.text)
        task.report(size(done))


def _text(line: LogLine, moment: bool) -> str:
    end = "" if line.goes_on else "\n"
    if not moment:
        return line.text + end
    when = datetime.fromtimestamp(line.time).astimezone().isoformat(timespec="milliseconds")
    return f"{when} {line.text}{end}"


def _refused(path: Path, error: OSError) -> HostError:
    kind = DiskFull if error.errno == errno.ENOSPC else HostError
    text = tr("The log cannot be written to {path}.", path=path)
    hint = tr("Choose another location, or free some space there.")
    return kind(Message("", text, hint), details=str(error))
