"""A line with ANSI sequences is split into its text and its styled spans."""

import pytest

from desktop.widgets.log.ansi import PLAIN, TRUE, AnsiReader, Style, styled


def test_plain_text_stays_unchanged() -> None:
    assert AnsiReader().read("GET /index.html 200\tok") == ("GET /index.html 200\tok", ())


def test_a_style_applies_until_it_changes_also_across_lines() -> None:
    reader = AnsiReader()
    assert reader.read("a \x1b[31mred") == ("a red", ((2, 3, Style(foreground=1)),))
    assert reader.read("more\x1b[0m end") == ("more end", ((0, 4, Style(foreground=1)),))
    assert reader.read("plain") == ("plain", ())


@pytest.mark.parametrize(
    ("parameters", "style"),
    [
        ("1;4;32", Style(foreground=2, bold=True, underline=True)),
        ("97;101", Style(foreground=15, background=9)),
        ("38;5;208", Style(foreground=208)),
        ("48;2;1;2;3", Style(background=TRUE | 0x010203)),
        ("38:5:300", Style(foreground=255)),
        ("38", PLAIN),
        ("31;39", PLAIN),
        ("1;22", PLAIN),
        ("", PLAIN),
    ],
)
def test_parameters_set_the_style(parameters: str, style: Style) -> None:
    assert styled(PLAIN, parameters) == style


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("\x1b[2K\x1b[1Gdone", "done"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;link\x1b\\name\x1b]8;;\x1b\\", "name"),
        ("\x1b(Bletters\x1b=", "letters"),
        ("10 %\r100 %", "100 %"),
        ("windows\r", "windows"),
        ("bell\x07 and \x01garbage\x9b", "bell and \ufffdgarbage\ufffd"),
        ("not\u2028a new line", "not\ufffda new line"),
        ("ends in \x1b", "ends in "),
    ],
)
def test_control_characters_are_removed_or_replaced(line: str, text: str) -> None:
    assert AnsiReader().read(line)[0] == text


def test_a_number_of_any_length_is_read() -> None:
    assert AnsiReader().read("\x1b[" + "9" * 5000 + "m1\x1b[38;5;" + "7" * 5000 + "m2")[0] == "12"
