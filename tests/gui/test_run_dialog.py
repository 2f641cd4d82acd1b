"""Running an image from the window: prefilled fields, invalid input, refusals by dockerd."""

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from desktop.app import App
from desktop.context import AppContext
from desktop.dialogs.run import values
from desktop.dialogs.run.dialog import RunDialog
from desktop.dialogs.run.values import Wrong
from desktop.widgets.toasts import Toast
from engine.docker.client import DockerClient
from engine.docker.types import ANY_PORT, ImageDetail, Mount, Port, RunSpec
from tests.gui.conftest import WaitFor
from tests.unit.engine.bridge.servers import IMAGE
from tests.unit.engine.docker.conftest import sleeper

COMMAND = "sh -c \"trap 'exit 0' TERM; sleep 1000 & wait\""
RICH = ImageDetail(
    "i", ("rich:1",), 1, 0.0, "linux", "amd64", (),
    ports=(Port(80), Port(53, "udp")), env=("A=1", "B=2"), volumes=("/data",),
)  # fmt: skip


@pytest.fixture
def dialog(app_context: AppContext, wait_for: WaitFor) -> RunDialog:
    made = RunDialog(app_context, IMAGE)
    made.open()
    wait_for(lambda: made.form.env.lines)
    made.command_line.setText(COMMAND)
    return made


def valid_spec(dialog: RunDialog) -> RunSpec:
    spec = dialog.spec()
    assert spec is not None
    return spec


# Values


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 0), ("512 MB", 512 << 20), ("2g", 2 << 30), ("1.5 GiB", 3 << 29), ("64", 64 << 20)],
)
def test_memory_is_parsed(text: str, size: int) -> None:
    assert values.memory(text) == size
    assert values.memory(values.memory_text(size)) == size


@pytest.mark.parametrize("text", ["12 bananas", "1 MB", "-5", "MB"])
def test_invalid_memory_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        values.memory(text)


def test_a_mount_source_is_a_volume_or_a_path() -> None:
    assert values.mount_source("data") == ("volume", "data")
    assert values.mount_source("/srv/a b") == ("bind", "/srv/a b")
    assert values.mount_source(r"C:\data") == ("bind", r"C:\data")
    with pytest.raises(Wrong):
        values.mount_source("no such name")


# The form


def test_an_image_prefills_its_ports_variables_and_volumes(dialog: RunDialog) -> None:
    dialog.form.prefill(RICH)
    spec = valid_spec(dialog)
    assert spec.ports == (Port(53, "udp", "", ANY_PORT), Port(80, "tcp", "", ANY_PORT))
    assert spec.env == ()  # the image has them already
    assert spec.mounts == ()  # Docker creates this volume by itself
    dialog.form.env.lines[-1].content.setText("3")
    dialog.form.mounts.lines[-1].source.setText("kept")
    spec = valid_spec(dialog)
    assert spec.env == ("B=3",)
    assert spec.mounts == (Mount("volume", "kept", "/data"),)


def test_another_image_replaces_prefilled_lines_but_not_edited_ones(dialog: RunDialog) -> None:
    dialog.form.prefill(RICH)
    dialog.form.ports.lines[0].outside.setText("8080")
    own = dialog.form.env.add("OWN=1")
    dialog.form.prefill(None)
    (port,) = dialog.form.ports.lines
    assert port.outside.text() == "8080"
    assert dialog.form.env.lines == [own]


def test_tab_follows_the_visual_order(dialog: RunDialog, wait_for: WaitFor) -> None:
    dialog.form.prefill(RICH)
    first, second = dialog.form.ports.lines
    wait_for(second.isVisible)
    walked: list[QWidget] = [dialog.form.ports.add_button]
    while walked[-1] is not dialog.terminal:
        walked.append(next_stop(walked[-1]))
    assert walked[1:-1] == [*first.stops, *second.stops]


def next_stop(widget: QWidget) -> QWidget:
    following = widget.nextInFocusChain()
    assert following is not None
    takes_tab = following.isVisible() and following.focusPolicy() & Qt.FocusPolicy.TabFocus
    return following if takes_tab else next_stop(following)


def test_removed_rows_keep_the_focus_or_pass_it_to_the_next(dialog: RunDialog) -> None:
    dialog.form.prefill(RICH)
    dialog.image_box.setFocus()
    dialog.form.prefill(None)
    assert dialog.focusWidget() is dialog.image_box
    own = [dialog.form.ports.add(Port(number)) for number in (80, 81)]
    own[0].remove.setFocus()
    own[0].remove.click()
    assert dialog.focusWidget() is own[1].inside


def test_invalid_fields_are_marked_and_the_input_is_kept(
    dialog: RunDialog, app_context: AppContext, client: DockerClient, wait_for: WaitFor
) -> None:
    client.containers.run(sleeper("taken", ports=(Port(80, "tcp", "", 18082),)))
    wait_for(lambda: any(r.state.is_up for r in app_context.stores.containers.rows.values()))
    dialog.name_line.setText("taken")
    first, second = dialog.form.ports.add(None), dialog.form.ports.add(None)
    first.inside.setText("80")
    first.outside.setText("18082")
    second.inside.setText("http")
    variable = dialog.form.env.add(None)
    variable.content.setText("without a name")
    dialog.form.cpus_line.setText("many")
    dialog.agree.click()
    assert dialog.task is None
    assert "already" in dialog.name.below.text()
    assert first.complaint.text() == "taken uses port 18082."
    assert second.inside.property("wrong")
    assert not second.outside.property("wrong")
    assert variable.is_wrong
    assert dialog.form.cpus_line.property("wrong")
    assert dialog.rest.isVisible()  # invalid fields are unfolded
    assert variable.content.text() == "without a name"
    QTest.keyClicks(first.outside, "1")
    assert not first.is_wrong


def test_a_duplicate_port_is_invalid(dialog: RunDialog) -> None:
    for address in ("", "127.0.0.1"):
        line = dialog.form.ports.add(None)
        line.inside.setText("80")
        line.address.setText(address)
        line.outside.setText("18083")
    assert dialog.spec() is None
    assert "twice" in dialog.form.ports.lines[-1].complaint.text()


def test_auto_remove_excludes_a_restart_policy(dialog: RunDialog) -> None:
    dialog.form.restart_box.setCurrentIndex(3)
    assert valid_spec(dialog).restart == "always"
    dialog.remove.setChecked(True)
    assert valid_spec(dialog).restart == "no"
    assert not dialog.form.restart_box.isEnabled()


def test_the_command_can_be_copied(dialog: RunDialog) -> None:
    dialog.name_line.setText("web")
    dialog.command_line.setText("sleep 5")
    dialog._copy()
    assert QGuiApplication.clipboard().text() == f"docker run -d --name web {IMAGE} sleep 5"


# Running


def test_a_successful_run_closes_the_dialog(
    dialog: RunDialog, app: App, client: DockerClient, wait_for: WaitFor
) -> None:
    dialog.name_line.setText("ran")
    line = dialog.form.ports.add(None)
    line.inside.setText("80")
    finished: list[int] = []
    dialog.finished.connect(finished.append)
    dialog.agree.click()
    assert not dialog.agree.isEnabled()  # at once
    wait_for(lambda: finished)
    (row,) = client.containers.list()
    assert (row.name, row.image) == ("ran", IMAGE)
    assert row.ports[0].host_port > 1024


def test_a_refusal_by_dockerd_is_shown_and_the_input_is_kept(
    dialog: RunDialog, app: App, client: DockerClient, wait_for: WaitFor
) -> None:
    dialog.name_line.setText("refused")
    dialog.command_line.setText("no-such-program")
    dialog.agree.click()
    wait_for(lambda: dialog.problem.isVisible())
    assert "no-such-program" in dialog.problem.text()
    assert dialog.agree.isEnabled()
    assert dialog.name_line.text() == "refused"
    assert client.containers.list() == ()
    assert not app.window.findChildren(Toast)  # reported only once


def test_a_missing_image_is_announced(dialog: RunDialog, wait_for: WaitFor) -> None:
    dialog.image_box.setEditText("localhost:1/none:1")
    wait_for(lambda: dialog.image.below.isVisible())
    assert "pulled" in dialog.image.below.text()
    assert not dialog.form.env.lines


def test_every_field_has_a_name(dialog: RunDialog) -> None:
    dialog.form.prefill(RICH)
    fields = [one for one in dialog.findChildren(QLineEdit) if one.parent() is not dialog.image_box]
    assert len(fields) > 10
    assert [one for one in fields if not one.accessibleName()] == []


def test_enter_runs_and_escape_closes_while_the_task_continues(
    dialog: RunDialog, app_context: AppContext, client: DockerClient, wait_for: WaitFor
) -> None:
    dialog.name_line.setText("typed")
    QTest.keyClick(dialog.name_line, Qt.Key.Key_Return)
    assert dialog.task is not None
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.is_left
    wait_for(lambda: [row.name for row in client.containers.list()] == ["typed"])
    wait_for(lambda: not app_context.tasks.running)


def test_a_refusal_after_the_dialog_was_closed_is_a_toast(
    dialog: RunDialog, app: App, wait_for: WaitFor
) -> None:
    dialog.command_line.setText("no-such-program")
    dialog.agree.click()
    dialog.reject()
    wait_for(lambda: app.window.findChildren(Toast))
    (toast,) = app.window.findChildren(Toast)
    assert "no-such-program" in f"{toast.title} {toast.text}"


def test_a_closed_dialog_does_not_follow_the_theme(
    dialog: RunDialog, app_context: AppContext, qapp: QApplication
) -> None:
    """A connection that outlives its widget is a Qt error, which fails this test."""
    dialog.form.prefill(RICH)
    dialog.reject()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    app_context.theme.choose("dark")
    app_context.theme.choose("light")


def test_a_suggestion_is_selected_with_the_keys(dialog: RunDialog, wait_for: WaitFor) -> None:
    dialog.activateWindow()
    wait_for(dialog.isActiveWindow)
    line = dialog.image_box
    line.clearEditText()
    line.setFocus()
    QTest.keyClicks(line, IMAGE[2:5])
    dialog.image.complain("Not available locally: pulled first.")  # as after a pause in typing
    QTest.qWait(50)
    assert dialog.suggestions.isVisible()
    assert dialog.suggestions.window() is dialog
    QTest.keyClick(line, Qt.Key.Key_Down)
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert dialog.image_name.startswith(IMAGE)
    assert dialog.suggestions.isHidden()
    assert dialog.task is None
    QTest.keyClick(line, Qt.Key.Key_Backspace)
    assert dialog.suggestions.isVisible()
    QTest.keyClick(line, Qt.Key.Key_Escape)
    assert dialog.suggestions.isHidden()
    assert dialog.isVisible()
    QTest.keyClick(line, Qt.Key.Key_Backspace)
    dialog.name_line.setFocus()
    assert dialog.suggestions.isHidden()
