"""A container is recreated with changes, from the window."""

from desktop.app import App
from desktop.context import AppContext
from desktop.dialogs.recreate import RecreateDialog
from engine.docker.client import DockerClient
from engine.docker.types import Mount, Port
from tests.gui.conftest import WaitFor
from tests.unit.engine.docker.conftest import sleeper

PORTS = (Port(80, "tcp", "127.0.0.1", 18090), Port(81))
MOUNTS = (Mount("volume", "again-data", "/data"), Mount("tmpfs", "", "/scratch"))


def open_dialog(
    app_context: AppContext, client: DockerClient, wait_for: WaitFor, **more: object
) -> RecreateDialog:
    spec = sleeper("again", ports=PORTS, mounts=MOUNTS, env=("A=1",), memory=64 << 20, **more)
    key = client.containers.run(spec)
    wait_for(lambda: key in app_context.stores.containers.rows)
    dialog = RecreateDialog(app_context, app_context.stores.containers.rows[key])
    dialog.open()
    wait_for(lambda: dialog.before is not None)
    return dialog


def test_the_form_shows_the_settings_of_the_container(
    app_context: AppContext, client: DockerClient, wait_for: WaitFor
) -> None:
    dialog = open_dialog(app_context, client, wait_for)
    assert dialog.before is not None
    assert dialog.form.read(dialog.before) == dialog.before
    assert [line.outside.text() for line in dialog.form.ports.lines] == ["18090"]
    assert dialog.form.memory_line.text() == "64 MiB"
    dialog.agree.click()
    assert "Nothing is changed" in dialog.problem.text()
    assert dialog.task is None


def test_the_new_container_has_the_changes(
    app: App, app_context: AppContext, client: DockerClient, wait_for: WaitFor
) -> None:
    dialog = open_dialog(app_context, client, wait_for)
    old = dialog.container.id
    dialog.form.ports.lines[0].outside.setText("18091")
    dialog.form.env.add("B=2")
    dialog.form.memory_line.setText("128 MB")
    dialog.agree.click()
    wait_for(lambda: [r.id for r in client.containers.list()] != [old] and dialog.is_left)
    (row,) = client.containers.list()
    spec = client.containers.detail(row.id).spec
    assert (row.name, row.state.is_up) == ("again", True)
    assert spec.ports == (Port(80, "tcp", "127.0.0.1", 18091), Port(81))
    assert spec.env == ("A=1", "B=2")
    assert spec.memory == 128 << 20
    assert Mount("volume", "again-data", "/data") in spec.mounts


def test_a_failure_is_shown_in_the_dialog_and_the_old_container_is_kept(
    app_context: AppContext, client: DockerClient, wait_for: WaitFor
) -> None:
    dialog = open_dialog(app_context, client, wait_for)
    line = dialog.form.mounts.add(None)
    line.source.setText("/no/such/folder")
    line.target.setText("/mnt")
    dialog.agree.click()
    wait_for(lambda: dialog.problem.isVisible())
    assert "as it was before" in dialog.problem.text()
    assert line.source.text() == "/no/such/folder"
    (row,) = client.containers.list()
    assert row.id == dialog.container.id
    assert row.state.is_up


def test_a_container_with_auto_remove_is_refused_at_once(
    app_context: AppContext, client: DockerClient, wait_for: WaitFor
) -> None:
    dialog = open_dialog(app_context, client, wait_for, auto_remove=True)
    wait_for(lambda: dialog.problem.isVisible())
    assert not dialog.agree.isEnabled()
