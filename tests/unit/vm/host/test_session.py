"""Where there is no session of systemd's, nothing is put before a program's words; with a real one,
see `tests/e2e/test_session.py`.
"""

from pathlib import Path

import pytest

from vm.host import session


@pytest.mark.parametrize("is_left", [False, True])
def test_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_left: bool) -> None:
    """None at all, or what is left of one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    if is_left:
        (tmp_path / "systemd").mkdir()
        (tmp_path / "systemd" / "private").touch()
    assert session.apart("galley-test", ("true",), {}) == ()


def test_words_are_quoted_as_systemd_reads_them() -> None:
    assert session._quoted('a "b" $c\\d') == '"a \\"b\\" $$c\\\\d"'
