"""Owners of paths in world-writable folders, with real files of other users, which only root can
make.
"""

import os
import stat
from pathlib import Path

import pytest

from vm.errors import HostError
from vm.host import lent_ids, owners
from vm.host.lent_ids import LentIds, Range
from vm.messages import Message

OTHER = 12345


@pytest.fixture
def sticky(tmp_path: Path) -> Path:
    """A folder with the mode of /tmp."""
    made = tmp_path / "sticky"
    made.mkdir()
    made.chmod(0o1777)
    return made


def make(path: Path, owner: int = 0) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    return path


def test_the_users_own_paths_are_not_foreign(sticky: Path) -> None:
    mine = make(sticky / "mine")
    inner = make(mine / "a databases", OTHER)  # as a container makes it
    for path in (sticky, mine, inner, mine / "missing", sticky / "../sticky/mine"):
        assert owners.foreign(str(path)) is None, path


def test_a_path_of_another_user_and_all_below_are_foreign(sticky: Path) -> None:
    foreign = make(sticky / "foreign", OTHER)
    make(foreign / "roots")
    (sticky / "file").touch()
    os.chown(sticky / "file", OTHER, OTHER)
    for path in (foreign, foreign / "roots", foreign / "missing/too", sticky / "file"):
        assert owners.foreign(str(path)) == str(sticky / path.relative_to(sticky).parts[0])


def test_a_link_and_its_target_are_checked(sticky: Path, tmp_path: Path) -> None:
    mine, foreign = make(sticky / "mine"), make(sticky / "foreign", OTHER)
    (mine / "leads there").symlink_to("../foreign")
    assert owners.foreign(str(mine / "leads there" / "x")) == str(foreign)
    (tmp_path / "home").mkdir()
    (sticky / "trap").symlink_to(tmp_path / "home")  # as another user may prepare it
    os.lchown(sticky / "trap", OTHER, OTHER)
    assert owners.foreign(str(sticky / "trap")) == str(sticky / "trap")
    os.lchown(sticky / "trap", 0, 0)
    assert owners.foreign(str(sticky / "trap")) is None
    (sticky / "circle").symlink_to("circle")
    owners.foreign(str(sticky / "circle"))  # it returns


def test_a_missing_folder_is_made_so_that_no_other_user_can_make_it(sticky: Path) -> None:
    missing = sticky / "new"
    assert owners.foreign(str(missing / "deep")) == str(missing)
    assert not missing.exists()
    assert owners.foreign(str(missing / "deep"), make=True) is None
    assert stat.S_IMODE(missing.stat().st_mode) == 0o755
    assert not (missing / "deep").exists(), "dockerd makes the rest"


def test_only_sticky_folders_are_checked(tmp_path: Path) -> None:
    make(tmp_path / "foreign", OTHER)
    assert owners.foreign(str(tmp_path / "foreign")) is None
    tmp_path.chmod(0o777)  # not sticky: its owner allows everything to all
    assert owners.foreign(str(tmp_path / "foreign")) is None


def test_subordinate_ids_belong_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container gives them to its files. Root has no subordinate ids."""
    subordinate = LentIds((Range(0, 1000, 1), Range(1, 200000, 65536)), ())
    monkeypatch.setattr(lent_ids, "find", lambda: subordinate)
    assert [owners._is_ours(uid) for uid in (0, 200998)] == [True, False]
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    mine = (1000, 200000, 265535)
    assert all(map(owners._is_ours, mine))
    assert not any(map(owners._is_ours, (0, 1001, 199999, 265536)))

    def none() -> LentIds:
        raise HostError(Message("", "There are no subordinate ids."))

    monkeypatch.setattr(lent_ids, "find", none)
    assert [owners._is_ours(uid) for uid in mine] == [True, False, False]
