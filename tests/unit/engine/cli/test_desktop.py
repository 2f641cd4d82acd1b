"""`galley desktop`: its errors where no window can open, and its pages."""

import pytest

from engine.cli import main
from engine.cli.desktop import PAGES

type Capture = pytest.CaptureFixture[str]


def test_a_missing_display_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main(["desktop"]) != 0
    stderr = capsys.readouterr().err
    assert "There is no display here" in stderr
    assert "Traceback" not in stderr


def test_a_window_that_cannot_open_is_reported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "no-such-platform")
    assert main(["desktop", "--details"]) != 0
    stderr = capsys.readouterr().err
    assert "The window did not open." in stderr
    assert "no-such-platform" in stderr


def test_an_unknown_page_is_refused_with_a_list_of_the_pages(capsys: Capture) -> None:
    assert main(["desktop", "kitchen"]) == 2
    stderr = capsys.readouterr().err
    assert all(page in stderr for page in PAGES)


def test_the_pages_of_the_command_are_those_of_the_window() -> None:
    from desktop.pages.catalog import places

    assert [place.key for place in places()] == list(PAGES)
