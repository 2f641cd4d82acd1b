"""A settings file that is another user's, partly invalid, locked, or a folder."""

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


def test_an_invalid_value_without_a_default_is_ignored(store: SettingsStore, home: Home) -> None:
    home.settings.write_text('http_proxy = "ftp://example.com"\n')
    (problem,) = store.load().problems
    assert problem.summary.startswith("settings.toml, line 1: http_proxy cannot be ")
    assert problem.hint == "Nothing is used. Run: galley settings set http_proxy VALUE"


def test_a_problem_has_no_line_number_if_the_line_is_not_found(
    store: SettingsStore, home: Home
) -> None:
    home.settings.write_text('"cp\\u0075s" = 99\n')
    (problem,) = store.load().problems
    assert problem.summary.startswith("settings.toml: cpus cannot be ")


def test_a_file_of_another_user_is_refused(store: SettingsStore, home: Home) -> None:
    store.set("cpus", 2)
    os.chown(home.settings, ID, ID)
    with pytest.raises(HomeUnusable, match="belongs to another user"):
        store.load()


def test_a_writer_waits_for_the_lock_of_another_version(store: SettingsStore, home: Home) -> None:
    """The lock file has the same name in every version."""
    with Background() as beside:
        for change in (lambda: store.set("cpus", 2), store.clear):
            with FileLock(home.run / "settings.lock"):
                changing = beside.submit(change)
                with pytest.raises(TimeoutError):
                    changing.result(0.2)
            changing.result()


def test_a_failed_clear_is_reported(store: SettingsStore, home: Home) -> None:
    home.settings.mkdir()
    with pytest.raises(HomeUnusable, match="Galley cannot use "):
        store.clear()
