"""The ids that a user is lent, for users of the test's own."""

import os
from pathlib import Path

import pytest

from tests.ordinary_user import OrdinaryUser
from vm.errors import HostError
from vm.host import lent_ids
from vm.host.lent_ids import LentIds, Range


def test_they_follow_the_users_own(ordinary_user: OrdinaryUser) -> None:
    ordinary_user.lend(200000, 300000)
    ordinary_user.run_as("unshare")
    mine = ordinary_user.id
    assert lent_ids.find() == LentIds(
        (Range(0, mine, 1), Range(1, 200000, 65535)), (Range(0, mine, 1), Range(1, 300000, 65535))
    )


def test_none_are_lent(ordinary_user: OrdinaryUser) -> None:
    ordinary_user.run_as("unshare")
    with pytest.raises(HostError) as none:
        lent_ids.find()
    assert "usermod --add-subuids" in none.value.hint
    assert "$ unshare --map-auto" in none.value.details


def test_nothing_to_try_it_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="lends you no ids"):
        lent_ids.find()


def test_one_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unshare").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(lent_ids, "DEADLINE", 0.1)
    with pytest.raises(HostError, match="lends you no ids"):
        lent_ids.find()
