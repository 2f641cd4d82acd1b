"""`galley desktop`: what it says where no window can open, and that it opens one where it can."""

import pytest

from engine.cli import main
from engine.cli.desktop import PAGES

type Said = pytest.CaptureFixture[str]


def test_without_a_display_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main(["desktop"]) != 0
    said = capsys.readouterr().err
    assert "There is no display here" in said
    assert "Traceback" not in said


def test_a_window_that_cannot_open_says_why(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "no-such-platform")
    assert main(["desktop", "--details"]) != 0
    said = capsys.readouterr().err
    assert "The window did not open." in said
    assert "no-such-platform" in said


def test_an_unknown_page_is_refused_with_those_there_are(capsys: Said) -> None:
    assert main(["desktop", "kitchen"]) == 2
    said = capsys.readouterr().err
    assert all(page in said for page in PAGES)


def test_its_pages_are_those_of_the_window() -> None:
    from desktop.pages.catalog import places

    assert [place.key for place in places()] == list(PAGES)
