"""The Help page and the editor of daemon.json, on the fake backend."""

import json
import zipfile
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QPushButton
from pytestqt.qtbot import QtBot

from desktop.actions import engine, report
from desktop.app import App
from desktop.pages.help.about import AboutView
from desktop.pages.help.checks import ChecksView
from desktop.pages.help.fixes import fix_for
from desktop.pages.help.logs import LogsView
from desktop.pages.help.page import HelpPage
from desktop.pages.settings.daemon import DaemonEditor
from desktop.session.tasks import TaskState
from desktop.widgets.confirm import Confirm
from engine.diagnose import docker
from engine.diagnose.run import Outcome, Result
from tests.gui.conftest import WaitFor
from vm.errors import Problem
from vm.host.paths import Home
from vm.types import MachineState


@pytest.fixture
def own(own_app: App) -> App:
    """The Help page of Galley's own engine, which does not run yet."""
    own_app.window.go("help")
    return own_app


@pytest.fixture
def home(own: App) -> Home:
    return own.link.home


def help_page(app: App) -> HelpPage:
    app.window.go("help")
    page = app.window.pages["help"]
    assert isinstance(page, HelpPage)
    return page


def checks(app: App, wait_for: WaitFor) -> ChecksView:
    page = help_page(app)
    page.show_tab("checks")
    view = page.views["checks"]
    assert isinstance(view, ChecksView)
    view.run()
    assert view.task is not None
    assert not view.start.isEnabled()
    wait_for(lambda: view.task is not None and view.task.state.is_over)
    return view


def test_every_check_has_a_result(own: App, wait_for: WaitFor) -> None:
    view = checks(own, wait_for)
    assert len(view.rows) == len(view.results) >= 12
    assert view.start.isEnabled()
    words = {row.result.title: row.word.text() for row in view.rows}
    assert words["Galley's folders can be written"] == "fine"
    assert words["The machine's clock is right"] == "skipped"


def test_a_problem_is_shown_with_a_button_for_its_fix(
    own: App, home: Home, wait_for: WaitFor
) -> None:
    home.settings.write_text('backend = "fake"\ncpus = "many"\n')
    view = checks(own, wait_for)
    assert "problem found" in view.said.text()
    [row] = [row for row in view.rows if row.result.problem is not None]
    assert row.word.text() == "needs attention"
    assert row.fix is not None
    row.fix.click()
    assert own.window.current_key == "settings"


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("SupervisorGone", "Start the background process"),
        ("VersionMismatch", "Restart the background process"),
        ("EngineUnreachable", "Restart the engine"),
        ("ImageDamaged", "Get the image again"),
        ("DiskFull", "Show disk usage"),
        ("HomeUnusable", ""),
    ],
)
def test_each_kind_of_problem_has_its_fix(own: App, kind: str, label: str) -> None:
    fix = fix_for(own.app_context, Result("A question", Outcome.PROBLEM, Problem(kind, "Wrong.")))
    assert (fix[0] if fix else "") == label


def test_the_fix_for_another_context_selects_galley(
    own: App, home: Home, wait_for: WaitFor
) -> None:
    wrong = Result(docker.CLIENT.title, Outcome.PROBLEM, Problem("HostError", "Another context."))
    fix = fix_for(own.app_context, wrong)
    assert fix is not None
    task = fix[1]()
    assert task is not None
    wait_for(lambda: task.state is TaskState.DONE)
    from engine.dockercli import context

    assert context.is_current(home)


def test_a_log_is_followed_while_it_is_shown(own: App, home: Home, wait_for: WaitFor) -> None:
    page = help_page(own)
    own.app_context.window.go("help", "logs", "vm")
    view = page.views["logs"]
    assert isinstance(view, LogsView)
    assert view.component == "vm"
    console = home.logs / "console.log"
    console.write_text("first\nsecond\n")
    wait_for(lambda: view.view.whole_text() == "first\nsecond")
    with console.open("a") as file:
        file.write("third\n")
    wait_for(lambda: view.view.whole_text().endswith("third"))
    console.rename(home.logs / "console.1.log")
    console.write_text("of another start\n")
    wait_for(lambda: view.view.whole_text().endswith("of another start"))
    page.show_tab("keys")
    assert view.source is None


def test_a_log_can_be_searched(own: App, home: Home, wait_for: WaitFor) -> None:
    (home.logs / "console.log").write_text("".join(f"line {n}\n" for n in range(500)))
    page = help_page(own)
    own.app_context.window.go("help", "logs", "vm")
    view = page.views["logs"]
    assert isinstance(view, LogsView)
    wait_for(lambda: len(view.view.rows) == 500)
    QTest.keyClicks(view.words, "line 49")
    wait_for(lambda: view.found.text() == "11 matches")
    QTest.keyClick(view.words, Qt.Key.Key_Return)
    assert view.found.text().endswith("of 11")
    assert not view.view.follows


def test_the_engine_s_log_needs_a_machine(own: App, wait_for: WaitFor) -> None:
    own.app_context.window.go("help", "logs", "engine")
    view = help_page(own).views["logs"]
    assert isinstance(view, LogsView)
    wait_for(lambda: "The engine is not running" in view.note.text())


def test_a_report_is_written(own: App, home: Home, tmp_path: Path, wait_for: WaitFor) -> None:
    target = tmp_path / "report.zip"
    task = report.save(own.app_context, target)
    wait_for(lambda: task.state is TaskState.DONE)
    with zipfile.ZipFile(target) as archive:
        assert {"checks.json", "settings.json", "versions.txt"} <= set(archive.namelist())
    refused = report.save(own.app_context, tmp_path / "no-such" / "\0" / "report.zip")
    wait_for(lambda: refused.state is TaskState.FAILED)


def test_the_button_opens_a_dialog_for_the_reports_file(
    own: App, tmp_path: Path, wait_for: WaitFor
) -> None:
    QTest.mouseClick(help_page(own).bundle, Qt.MouseButton.LeftButton)
    [dialog] = own.window.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(tmp_path / "asked.zip"))
    dialog.reject()
    wait_for((tmp_path / "asked.zip").exists)
    wait_for(lambda: not own.app_context.tasks.running)


def test_a_log_is_saved_as_it_is_shown(
    own: App, home: Home, tmp_path: Path, wait_for: WaitFor
) -> None:
    (home.logs / "console.log").write_text("first\nsecond\n")
    own.app_context.window.go("help", "logs", "vm")
    view = help_page(own).views["logs"]
    assert isinstance(view, LogsView)
    wait_for(lambda: view.view.whole_text() == "first\nsecond")
    [save] = [
        one for one in view.findChildren(QPushButton) if "Save this log" in one.accessibleName()
    ]
    for path in (tmp_path / "no-such" / "vm.log", tmp_path / "vm.log"):
        QTest.mouseClick(save, Qt.MouseButton.LeftButton)
        [dialog] = own.window.findChildren(QFileDialog)
        dialog.fileSelected.emit(str(path))
        dialog.reject()
        wait_for(lambda: not own.window.findChildren(QFileDialog))
        wait_for(lambda: not own.app_context.tasks.running)
    assert [task.state for task in own.app_context.tasks.all] == [TaskState.FAILED, TaskState.DONE]
    assert (tmp_path / "vm.log").read_text() == "first\nsecond\n"


def test_reset_needs_its_word_and_deletes_everything(
    own: App, home: Home, wait_for: WaitFor
) -> None:
    engine.start(own.app_context)
    wait_for(lambda: own.link.state is MachineState.RUNNING)
    wait_for(lambda: all(store.is_loaded for store in own.app_context.stores.all))
    own.connection.close()  # the SDK leaks sockets that fail to connect during the reset
    home.daemon_config.write_text('{"debug": true}\n')
    page = help_page(own)
    page.show_tab("about")
    view = page.views["about"]
    assert isinstance(view, AboutView)
    view.reset.click()
    [question] = own.window.findChildren(Confirm)
    assert not question.agree.isEnabled()
    QTest.keyClicks(question.word, "reset")
    question.agree.click()
    wait_for(lambda: not home.settings.exists() and not home.daemon_config.exists())
    wait_for(lambda: not own.app_context.tasks.running)
    assert own.app_context.tasks.all[-1].state is TaskState.DONE
    assert not (home.machine / "data.img").exists()


# daemon.json


@pytest.fixture
def editor(own: App, qtbot: QtBot) -> DaemonEditor:
    made = DaemonEditor(own.app_context)
    qtbot.addWidget(made)
    made.show()
    return made


def test_typed_text_is_checked_at_once(editor: DaemonEditor, wait_for: WaitFor) -> None:
    assert not editor.apply.isEnabled()
    editor.edit.setPlainText('{"hosts": []}')
    assert '"hosts" cannot be set here' in editor.said.text()
    editor.edit.setPlainText('{\n  "debug": true,\n}')
    assert editor.said.text().startswith("Line 2, column 16: ")
    assert editor.edit.wrong == (2, 16)
    assert not editor.apply.isEnabled()
    editor.edit.setPlainText('{"debug": true}')
    assert editor.apply.isEnabled()
    assert '+{"debug": true}' in editor.difference.toPlainText()


def test_the_text_is_applied_and_reverted(
    editor: DaemonEditor, home: Home, wait_for: WaitFor
) -> None:
    editor.edit.setPlainText('{"debug": true}')
    editor.apply.click()
    assert not editor.apply.isEnabled()
    wait_for(lambda: editor.said.text() == "Active.")
    assert json.loads(home.daemon_config.read_text()) == {"debug": True}
    editor.edit.setPlainText('{"debug": false}')
    editor.revert.click()
    assert json.loads(editor.edit.toPlainText()) == {"debug": True}
    editor.edit.undo()
    assert json.loads(editor.edit.toPlainText()) == {"debug": False}


def test_a_failed_apply_keeps_the_text(editor: DaemonEditor, home: Home, wait_for: WaitFor) -> None:
    home.daemon_config.mkdir()  # so that it cannot be written
    editor.edit.setPlainText('{"debug": true}')
    editor.apply.click()
    wait_for(lambda: editor.said.property("kind") == "error")
    assert editor.edit.toPlainText() == '{"debug": true}'
    assert editor.apply.isEnabled()


def test_a_change_of_the_file_is_shown_but_keeps_typed_text(
    editor: DaemonEditor, home: Home, wait_for: WaitFor
) -> None:
    home.daemon_config.write_text('{"labels": ["a=1"]}\n')
    editor.refresh()
    wait_for(lambda: editor.edit.toPlainText() == '{"labels": ["a=1"]}\n')
    editor.edit.setPlainText('{"labels": ["a=2"]}\n')
    home.daemon_config.write_text('{"labels": ["a=3"]}\n')
    editor.refresh()
    wait_for(lambda: editor.in_force == '{"labels": ["a=3"]}\n')
    assert editor.edit.toPlainText() == '{"labels": ["a=2"]}\n'
