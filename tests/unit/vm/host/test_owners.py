"""Owners of paths in world-writable folders. With real files of other users, which only root can
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
def everybodys(tmp_path: Path) -> Path:
    """As /tmp is."""
    made = tmp_path / "everybodys"
    made.mkdir()
    made.chmod(0o1777)
    return made


def make(path: Path, owner: int = 0) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    return path


def test_ones_own_and_the_folder_itself(everybodys: Path) -> None:
    mine = make(everybodys / "mine")
    inner = make(mine / "a databases", OTHER)  # as its container has made it
    for path in (everybodys, mine, inner, mine / "missing", everybodys / "../everybodys/mine"):
        assert owners.foreign(str(path)) is None, path


def test_another_users_and_all_below(everybodys: Path) -> None:
    theirs = make(everybodys / "theirs", OTHER)
    make(theirs / "roots")
    (everybodys / "file").touch()
    os.chown(everybodys / "file", OTHER, OTHER)
    for path in (theirs, theirs / "roots", theirs / "missing/too", everybodys / "file"):
        assert owners.foreign(str(path)) == str(everybodys / path.relative_to(everybodys).parts[0])


def test_a_link_and_its_target_are_checked(everybodys: Path, tmp_path: Path) -> None:
    mine, theirs = make(everybodys / "mine"), make(everybodys / "theirs", OTHER)
    (mine / "leads there").symlink_to("../theirs")
    assert owners.foreign(str(mine / "leads there" / "x")) == str(theirs)
    (tmp_path / "home").mkdir()
    (everybodys / "trap").symlink_to(tmp_path / "home")  # as another user may lay it for us
    os.lchown(everybodys / "trap", OTHER, OTHER)
    assert owners.foreign(str(everybodys / "trap")) == str(everybodys / "trap")
    os.lchown(everybodys / "trap", 0, 0)
    assert owners.foreign(str(everybodys / "trap")) is None
    (everybodys / "circle").symlink_to("circle")
    owners.foreign(str(everybodys / "circle"))  # it ends


def test_what_is_missing_is_made_before_anybody_else_makes_it(everybodys: Path) -> None:
    missing = everybodys / "new"
    assert owners.foreign(str(missing / "deep")) == str(missing)
    assert not missing.exists()
    assert owners.foreign(str(missing / "deep"), make=True) is None
    assert stat.S_IMODE(missing.stat().st_mode) == 0o755
    assert not (missing / "deep").exists(), "dockerd makes that"


def test_only_folders_for_everybody_matter(tmp_path: Path) -> None:
    make(tmp_path / "theirs", OTHER)
    assert owners.foreign(str(tmp_path / "theirs")) is None
    tmp_path.chmod(0o777)  # not sticky: its owner has let everybody in
    assert owners.foreign(str(tmp_path / "theirs")) is None


def test_lent_ids_are_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container gives them to its files. Root, to whom none are lent, is asked for nothing."""
    lent = LentIds((Range(0, 1000, 1), Range(1, 200000, 65536)), ())
    monkeypatch.setattr(lent_ids, "find", lambda: lent)
    assert [owners._is_ours(uid) for uid in (0, 200998)] == [True, False]
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    mine = (1000, 200000, 265535)
    assert all(map(owners._is_ours, mine))
    assert not any(map(owners._is_ours, (0, 1001, 199999, 265536)))

    def none() -> LentIds:
        raise HostError(Message("", "None are lent."))

    monkeypatch.setattr(lent_ids, "find", none)
    assert [owners._is_ours(uid) for uid in mine] == [True, False, False]
