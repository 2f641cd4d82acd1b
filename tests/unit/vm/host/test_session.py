"""Without a systemd session, nothing is put before the command of a program.

For a real session, see `tests/e2e/test_session.py`.
"""

from pathlib import Path

import pytest

from vm.host import session


@pytest.mark.parametrize("is_stale", [False, True])
def test_without_a_session_no_prefix_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stale: bool
) -> None:
    """There is no session, or a stale socket of one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    if is_stale:
        (tmp_path / "systemd").mkdir()
        (tmp_path / "systemd" / "private").touch()
    assert session.apart("galley-test", ("true",), {}) == ()


def test_arguments_are_quoted_as_systemd_reads_them() -> None:
    assert session._quoted('a "b" $c\\d') == '"a \\"b\\" $$c\\\\d"'
