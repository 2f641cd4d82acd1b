"""A proxy's password in the settings is stored in the keyring, and nowhere else."""

from collections.abc import Iterator

import pytest

from engine.credentials import proxy_password
from engine.settings.store import SettingsStore
from tests.unit.engine.secret_service import SecretService, unlocked
from vm.errors import KeyringUnusable
from vm.host.paths import Home

GIVEN = "http://me:hidden@example.com:3128"
KEPT = "http://me@example.com:3128"


@pytest.fixture
def store(home: Home) -> SettingsStore:
    return SettingsStore(home)


@pytest.fixture
def keyring() -> Iterator[SecretService]:
    with unlocked() as service:
        yield service


def test_a_password_of_a_proxy_is_stored_in_the_keyring(
    store: SettingsStore, home: Home, keyring: SecretService
) -> None:
    assert store.set("http_proxy", GIVEN).value == KEPT
    assert store.set("https_proxy", KEPT).value == KEPT
    assert proxy_password.find(KEPT) == "hidden"
    assert home.settings.read_text().count(f'"{KEPT}"') == 2
    store.set("http_proxy", "http://example.com:1")
    assert proxy_password.find(KEPT) == "hidden"  # https_proxy still uses it
    store.unset("https_proxy")
    assert proxy_password.find(KEPT) == ""
    store.set("http_proxy", GIVEN)
    store.clear()
    assert proxy_password.find(KEPT) == ""


def test_a_password_that_cannot_be_stored_changes_nothing(
    store: SettingsStore, home: Home, keyring: SecretService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with pytest.raises(KeyringUnusable, match="There is no keyring") as caught:
        store.set("http_proxy", GIVEN)
    assert "HTTPS_PROXY after `galley settings set proxy system`" in caught.value.hint
    assert "hidden" not in repr(caught.value.to_problem())
    assert not home.settings.exists()


def test_a_password_in_the_file_is_not_used_and_not_shown(store: SettingsStore, home: Home) -> None:
    home.settings.write_text(f'https_proxy = "{GIVEN}"\nhttp_proxy = "x://me:hidden@h"\n')
    found = store.current().problems
    assert [one.summary.split(": ")[1][:35] for one in found] == [
        "http_proxy cannot be '…@h'", "This file must not contain the pass"
    ]  # fmt: skip
    assert "hidden" not in repr(found)
    assert store.current().https_proxy == ""
