"""Registry logins in the settings, with a real registry and a real keyring."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from desktop.actions import engine
from desktop.app import App
from desktop.dialogs.login import LoginDialog
from desktop.pages.settings.editors import SwitchEditor
from desktop.pages.settings.logins import LoginList
from desktop.pages.settings.page import SettingsPage
from desktop.widgets.confirm import Confirm
from engine.credentials import logins
from engine.credentials.logins import RegistryLogin
from tests.unit.engine.bridge.servers import Dockerd
from tests.unit.engine.docker.private_registry import ADDRESS, PASSWORD, USER, PrivateRegistry
from tests.unit.engine.secret_service import SecretService, unlocked

type WaitFor = Callable[..., None]
LEFT = Qt.MouseButton.LeftButton
PLAIN = '{"auths": {"a.example.com": {"auth": "Ym9iOnNlY3JldA=="}}}'


@pytest.fixture
def keyring() -> Iterator[SecretService]:
    with unlocked() as service:
        yield service


@pytest.fixture
def _registry(dockerd: Dockerd, tmp_path: Path) -> Iterator[None]:
    made = PrivateRegistry(dockerd, tmp_path)
    made.start()
    yield
    made.stop()


def open_list(app: App, wait_for: WaitFor) -> LoginList:
    """The list of logins, once it is loaded."""
    app.window.go("settings")
    page = app.window.current
    assert isinstance(page, SettingsPage)
    found = page.logins.findChild(LoginList)
    assert isinstance(found, LoginList)
    wait_for(lambda: found.nothing.isVisible() or found.rows)
    return found


def click(owner: LoginList, name: str) -> None:
    buttons = [one for one in owner.findChildren(QPushButton) if one.accessibleName() == name]
    QTest.mouseClick(buttons[0], LEFT)


def top_level[Kind](kind: type[Kind]) -> Kind | None:
    return next((one for one in QApplication.topLevelWidgets() if isinstance(one, kind)), None)


@pytest.mark.usefixtures("_registry")
def test_a_user_logs_in_and_out(app: App, keyring: SecretService, wait_for: WaitFor) -> None:
    listed = open_list(app, wait_for)
    assert not listed.said.isVisible()
    click(listed, "Log in…")
    form = top_level(LoginDialog)
    assert form is not None
    form.submit()
    assert form._username.is_wrong
    assert form._secret.is_wrong
    QTest.keyClicks(form.server, ADDRESS)
    QTest.keyClicks(form.username, USER)
    QTest.keyClicks(form.secret, "wrong")
    form.submit()
    wait_for(form.problem.isVisible)
    assert "does not take this login" in form.problem.text()
    assert logins.logins() == ()

    form.secret.clear()
    QTest.keyClicks(form.secret, PASSWORD)
    form.submit()
    wait_for(lambda: list(listed.rows) == [ADDRESS])
    assert top_level(LoginDialog) is None or not form.isVisible()
    assert logins.logins() == (RegistryLogin(ADDRESS, USER, "galley"),)

    click(listed, f"Log out of {ADDRESS}")
    confirm = app.window.findChild(Confirm)
    assert confirm is not None
    QTest.mouseClick(confirm.agree, LEFT)
    wait_for(lambda: not listed.rows)
    assert logins.logins() == ()


def test_logins_in_the_plain_file_can_be_moved_to_the_keyring(
    app: App, keyring: SecretService, wait_for: WaitFor
) -> None:
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir()
    (folder / "config.json").write_text(PLAIN)
    listed = open_list(app, wait_for)
    assert "plain file" in listed.said.text()
    click(listed, "Move to the keyring")
    wait_for(lambda: not listed.move_plain.isVisible())
    assert list(listed.rows) == ["a.example.com"]
    assert not listed.said.isVisible()
    assert logins.logins() == (RegistryLogin("a.example.com", "bob", "galley"),)


def test_a_locked_keyring_is_reported(app: App, keyring: SecretService, wait_for: WaitFor) -> None:
    keyring.lock()
    listed = open_list(app, wait_for)
    assert "The keyring is locked." in listed.said.text()


def test_a_change_of_the_setting_applies_at_once(
    keyring: SecretService, own_app: App, wait_for: WaitFor
) -> None:
    """The supervisor applies it once an engine has been started."""
    listed = open_list(own_app, wait_for)
    assert not logins.has_store()
    engine.start(own_app.app_context)
    wait_for(logins.has_store)
    page = own_app.window.current
    assert isinstance(page, SettingsPage)
    edit = page.fields["use_keyring"].editor
    assert isinstance(edit, SwitchEditor)
    edit.box.click()
    wait_for(lambda: not logins.has_store())
    wait_for(lambda: not listed.add.isEnabled())
    assert "setting for the keyring is off" in listed.said.text()
    edit.box.click()
    wait_for(logins.has_store)
    wait_for(listed.add.isEnabled)
    own_app.link.call("Delete the virtual machine", "delete")
    wait_for(lambda: not logins.has_store())
