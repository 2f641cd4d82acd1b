"""A whole form typed in one burst on a real X screen: every key reaches the right field."""

import json
import subprocess
import sys
from pathlib import Path
from threading import Timer

from engine.docker.client import DockerClient
from tests.gui.conftest import WindowDockerd
from tests.gui.screen import Screen
from tests.unit.engine.bridge.servers import IMAGE

ROUNDS = 50
FORM = """
import json
import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from desktop.app import App
from desktop.dialogs.run.dialog import RunDialog
from engine.dockercli.contexts import DockerContext
from engine.dockercli.endpoint import Endpoint

context = DockerContext("test", "", Endpoint("test", sys.argv[1]))
app = App(QApplication(["galley"]), context)


class Form(RunDialog):
    def __init__(self):
        super().__init__(app.app_context)
        self.form.ports.add(None)
        self.form.mounts.add(None)
        self._unfold(True)

    def submit(self):
        port, mount = self.form.ports.lines[0], self.form.mounts.lines[0]
        fields = (self.name_line, *port.fields, *mount.fields)
        print(json.dumps([self.image_name, *(field.text() for field in fields)]), flush=True)
        self.reject()
        open_form()


def open_form():
    form = Form()
    form.open()
    report_ready(form)


def report_ready(form):
    if QApplication.focusWidget() is form.image_box and form.isActiveWindow():
        print("ready", flush=True)
    else:
        QTimer.singleShot(20, lambda: report_ready(form))


def begin():
    if all(store.is_loaded for store in app.app_context.stores.all):
        open_form()
    else:
        QTimer.singleShot(20, begin)


app.window.show()
begin()
app.qt.exec()
"""


def test_a_form_typed_in_one_burst_has_the_typed_values(
    screen: Screen, dockerd: WindowDockerd, client: DockerClient, tmp_path: Path
) -> None:
    client.volumes.create("kept")
    wanted = [IMAGE, "by-hand", "80", "127.0.0.1", "8080", "kept", "/data"]
    typed = f"{IMAGE}\tby-hand\t\t80\t\t127.0.0.1\t8080{6 * chr(9)}kept\t/data\n"
    with (tmp_path / "form.log").open("wb") as log:
        form = subprocess.Popen(
            [sys.executable, "-c", FORM, f"unix://{dockerd.socket}"],
            env=screen.environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    deadline = Timer(240, form.kill)
    deadline.start()
    seen = []
    try:
        assert form.stdout is not None
        for number in range(ROUNDS):
            assert form.stdout.readline() == "ready\n", (tmp_path / "form.log").read_text()
            screen.burst(typed, number % 3)
            seen.append(form.stdout.readline())
    finally:
        deadline.cancel()
        form.kill()
        form.communicate(timeout=20)
        client.volumes.remove("kept")
    wrong = [line for line in seen if not line or json.loads(line) != wanted]
    assert not wrong, f"{len(wrong)} of {ROUNDS}: {wrong[:5]}"
