"""The ids that a user is lent, for users of the test's own."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ordinary_user import OrdinaryUser
from vm.errors import HostError
from vm.host import lent_ids, process
from vm.host.lent_ids import LentIds, Range

Unshare = Callable[..., None]


@pytest.fixture
def unshare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unshare:
    """Puts a script in its place; `users` and `groups` are what is lent, and we are ann."""
    monkeypatch.setattr(lent_ids, "ETC", tmp_path)
    monkeypatch.setattr(lent_ids, "_names", lambda: {"ann", str(os.getuid())})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def put(script: str, users: str = "", groups: str | None = None) -> None:
        (tmp_path / "unshare").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "unshare").chmod(0o755)
        (tmp_path / "subuid").write_text(users)
        (tmp_path / "subgid").write_text(users if groups is None else groups)

    return put


def refused() -> HostError:
    with pytest.raises(HostError, match="no subordinate IDs") as none:
        lent_ids.find()
    return none.value


def test_they_follow_the_users_own(ordinary_user: OrdinaryUser) -> None:
    ordinary_user.lend(200000, 300000)
    ordinary_user.run_as("unshare")
    mine = ordinary_user.id
    assert lent_ids.find() == LentIds(
        (Range(0, mine, 1), Range(1, 200000, 65535)), (Range(0, mine, 1), Range(1, 300000, 65535))
    )


def test_none_are_lent(ordinary_user: OrdinaryUser, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary_user.run_as("unshare")
    monkeypatch.setattr(lent_ids, "ETC", ordinary_user.etc)
    assert "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " in refused().hint
    assert "$ unshare --map-auto" in refused().details


@pytest.mark.parametrize(
    ("users", "groups", "asked"),
    [
        ("bob:100000:65536\n", "", "--add-subuids 165536-231071 --add-subgids 165536-231071"),
        (
            "# of the company\nbob:165536:65536\neve:100000:65536\n",
            "bob:300000:1000\nodd:line\n",
            "--add-subuids 301000-366535 --add-subgids 301000-366535",
        ),
        ("ann:100000:65536\n", "bob:100000:65536\n", "--add-subgids 165536-231071"),
    ],
)
def test_the_hint_suggests_unused_ids(
    unshare: Unshare, users: str, groups: str, asked: str
) -> None:
    unshare("exit 1", users, groups)
    assert refused().hint == f"Add some: sudo usermod {asked} $USER && galley restart"


@pytest.mark.parametrize("who", ["ann", str(os.getuid())])
def test_a_user_with_ids_lacks_newuidmap(unshare: Unshare, who: str) -> None:
    unshare("echo unshare: failed to execute newuidmap >&2; exit 1", f"{who}:200000:65536\n")
    assert refused().hint == "Install newuidmap (Debian: uidmap); then: galley restart"
    assert "execute newuidmap" in refused().details


def test_an_old_one(unshare: Unshare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unshare("""echo "unshare: unrecognized option '--map-auto' ($LC_ALL)" >&2; exit 1""")
    assert "unshare is missing or too old" in refused().hint
    assert "(C)" in refused().details
    monkeypatch.setenv("PATH", "/nowhere")
    assert "unshare is missing or too old" in refused().hint


def test_one_that_does_not_answer(unshare: Unshare, monkeypatch: pytest.MonkeyPatch) -> None:
    unshare("exec sleep 60")
    monkeypatch.setattr(lent_ids, "DEADLINE", 0.1)
    assert refused().hint == "Try again: galley restart"


def test_no_process_can_be_made_to_try_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: object, **how: object) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(process, "run", run)
    assert refused().hint == "Try again: galley restart"
    assert "no memory" in refused().details
