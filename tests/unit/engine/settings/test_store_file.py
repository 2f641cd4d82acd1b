"""The settings file at its worst: another user's, half wrong, locked, or a folder."""

import os

import pytest

from engine.settings.setting import GIB, HostSize
from engine.settings.store import SettingsStore
from tests.background import Background
from tests.other_user import ID
from vm.errors import HomeUnusable
from vm.host.lock import FileLock
from vm.host.paths import Home


@pytest.fixture
def store(home: Home) -> SettingsStore:
    return SettingsStore(home, HostSize(4, 16 * GIB))


def test_a_value_that_has_no_default_is_left_out(store: SettingsStore, home: Home) -> None:
    home.settings.write_text('http_proxy = "ftp://example.com"\n')
    (problem,) = store.load().problems
    assert problem.summary.startswith("settings.toml, line 1: http_proxy cannot be ")
    assert problem.hint == "Nothing is used. Run: galley settings set http_proxy VALUE"


def test_where_the_line_cannot_be_told_none_is(store: SettingsStore, home: Home) -> None:
    home.settings.write_text('"cp\\u0075s" = 99\n')
    (problem,) = store.load().problems
    assert problem.summary.startswith("settings.toml: cpus cannot be ")


def test_a_file_of_another_user_is_refused(store: SettingsStore, home: Home) -> None:
    store.set("cpus", 2)
    os.chown(home.settings, ID, ID)
    with pytest.raises(HomeUnusable, match="belongs to another user"):
        store.load()


def test_who_writes_waits_for_other_versions_too(store: SettingsStore, home: Home) -> None:
    """The lock has the name that they know."""
    with Background() as beside:
        for change in (lambda: store.set("cpus", 2), store.clear):
            with FileLock(home.run / "settings.lock"):
                changing = beside.submit(change)
                with pytest.raises(TimeoutError):
                    changing.result(0.2)
            changing.result()


def test_what_cannot_be_cleared_is_said(store: SettingsStore, home: Home) -> None:
    home.settings.mkdir()
    with pytest.raises(HomeUnusable, match="Galley cannot use "):
        store.clear()
