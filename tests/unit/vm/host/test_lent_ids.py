"""The subordinate ids of a user, for users that the test makes."""

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
    """Replaces `unshare` by a script and writes subuid and subgid; the user is ann."""
    monkeypatch.setattr(lent_ids, "ETC", tmp_path)
    monkeypatch.setattr(lent_ids, "_names", lambda: {"ann", str(os.getuid())})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def put(script: str, users: str = "", groups: str | None = None) -> None:
        (tmp_path / "unshare").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "unshare").chmod(0o755)
        (tmp_path / "subuid").write_text(users)
        (tmp_path / "subgid").write_text(users if groups is None else groups)

    return put


def refusal() -> HostError:
    with pytest.raises(HostError, match="no subordinate IDs") as raised:
        lent_ids.find()
    return raised.value


def test_subordinate_ids_follow_the_users_own_id(ordinary_user: OrdinaryUser) -> None:
    ordinary_user.lend(200000, 300000)
    ordinary_user.run_as("unshare")
    mine = ordinary_user.id
    assert lent_ids.find() == LentIds(
        (Range(0, mine, 1), Range(1, 200000, 65535)), (Range(0, mine, 1), Range(1, 300000, 65535))
    )


def test_a_user_without_subordinate_ids_gets_a_hint(
    ordinary_user: OrdinaryUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary_user.run_as("unshare")
    monkeypatch.setattr(lent_ids, "ETC", ordinary_user.etc)
    assert "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " in refusal().hint
    assert "$ unshare --map-auto" in refusal().details


@pytest.mark.parametrize(
    ("users", "groups", "suggested"),
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
    unshare: Unshare, users: str, groups: str, suggested: str
) -> None:
    unshare("exit 1", users, groups)
    assert refusal().hint == f"Add some: sudo usermod {suggested} $USER && galley restart"


@pytest.mark.parametrize("owner", ["ann", str(os.getuid())])
def test_a_missing_newuidmap_is_reported(unshare: Unshare, owner: str) -> None:
    unshare("echo unshare: failed to execute newuidmap >&2; exit 1", f"{owner}:200000:65536\n")
    assert refusal().hint == "Install newuidmap (Debian: uidmap); then: galley restart"
    assert "execute newuidmap" in refusal().details


def test_an_old_or_missing_unshare_is_reported(
    unshare: Unshare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unshare("""echo "unshare: unrecognized option '--map-auto' ($LC_ALL)" >&2; exit 1""")
    assert "unshare is missing or too old" in refusal().hint
    assert "(C)" in refusal().details
    monkeypatch.setenv("PATH", "/nowhere")
    assert "unshare is missing or too old" in refusal().hint


def test_an_unshare_that_hangs_is_reported(
    unshare: Unshare, monkeypatch: pytest.MonkeyPatch
) -> None:
    unshare("exec sleep 60")
    monkeypatch.setattr(lent_ids, "DEADLINE", 0.1)
    assert refusal().hint == "Try again: galley restart"


def test_a_failure_to_start_unshare_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: object, **options: object) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(process, "run", run)
    assert refusal().hint == "Try again: galley restart"
    assert "no memory" in refusal().details
