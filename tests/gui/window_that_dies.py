"""A window without a screen that starts a pull or a run, as a process that a test kills.

    python -m tests.gui.window_that_dies SOCKET pull IMAGE
    python -m tests.gui.window_that_dies SOCKET run IMAGE NAME

Prints "in progress" when the engine has begun; then it waits to be killed. Next: `test_killed.py`.
"""

import sys

from PySide6.QtWidgets import QApplication

from desktop.actions import containers, images
from desktop.app import App
from desktop.session.tasks import Task
from engine.docker.types import RunSpec
from engine.dockercli.contexts import DockerContext
from engine.dockercli.endpoint import Endpoint


def main(words: list[str]) -> int:
    socket, verb, image, *name = words
    context = DockerContext("test", "", Endpoint("test", f"unix://{socket}"))
    qt = QApplication(["galley"])
    app = App(qt, context)
    app.window.show()

    def begin() -> None:
        if not app.connection.is_up:
            return
        app.connection.changed.disconnect(begin)
        if verb == "pull":
            print_progress(images.pull(app.app_context, image))
        else:
            command = ("sh", "-c", "sleep 1000")
            print_progress(
                containers.run(app.app_context, RunSpec(image, name[0], command, network="none"))
            )

    def print_progress(task: Task) -> None:
        task.changed.connect(lambda: print("in progress", task.fraction, flush=True))  # noqa: T201

    app.connection.changed.connect(begin)
    return qt.exec()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
