"""The terminal's cells: what programs write, scroll away, and put on a second screen."""

import random

from desktop.widgets.log.ansi import TRUE, Style
from desktop.widgets.terminal.screen import LONGEST_SEQUENCE, MOST_MARKS, TerminalScreen
from desktop.widgets.terminal.styled_runs import Run, cut, text_of


def make(columns: int = 20, rows: int = 4) -> tuple[TerminalScreen, list[bytes]]:
    said: list[bytes] = []
    return TerminalScreen(columns, rows, said.append), said


def lines(screen: TerminalScreen) -> list[str]:
    return [text_of(row) for row in screen.frame().rows]


def test_text_styles_and_wide_characters() -> None:
    screen, _ = make()
    screen.feed("a\x1b[1;31mred\x1b[38;2;1;2;3mx\x1b[0m 日|".encode())
    row = screen.frame().rows[0]
    assert row == (
        Run(0, "a"),
        Run(1, "red", Style(foreground=1, bold=True)),
        Run(4, "x", Style(foreground=TRUE | 0x010203, bold=True)),
        Run(5, " "),
        Run(6, "日", wide=True),
        Run(8, "|"),
    )
    assert cut(row, 5, 9) == " 日|"


def test_a_character_split_between_two_reads() -> None:
    screen, _ = make()
    whole = "é".encode()
    screen.feed(whole[:1])
    screen.feed(whole[1:])
    assert lines(screen)[0] == "é"


def test_long_lines_wrap_as_they_do_in_a_terminal() -> None:
    screen, _ = make(columns=5)
    screen.feed(b"abcdefgh\r\n\x1b[?7lABCDEFGH")
    assert lines(screen)[:3] == ["abcde", "fgh", "ABCDH"]


def test_lines_that_scroll_away_are_handed_over_once() -> None:
    screen, _ = make(rows=3)
    screen.feed(b"1\r\n2\r\n3\r\n4\r\n5")
    frame = screen.frame()
    assert [text_of(row) for row in frame.scrolled] == ["1", "2"]
    assert [text_of(row) for row in frame.rows] == ["3", "4", "5"]
    assert screen.frame().scrolled == ()


def test_an_editor_leaves_the_screen_as_it_was() -> None:
    screen, _ = make()
    screen.feed(b"$ vi\x1b[?1049h\x1b[Heditor\r\n\r\n\r\n\r\n\r\n")
    assert "vi" not in "".join(lines(screen))
    screen.feed(b"\x1b[?1049l!")
    frame = screen.frame()
    assert text_of(frame.rows[0]) == "$ vi!"
    assert frame.scrolled == ()


def test_shrinking_keeps_the_line_with_the_cursor() -> None:
    screen, _ = make(rows=4)
    screen.feed(b"1\r\n2\r\n3\r\n4")
    screen.resize(10, 2)
    frame = screen.frame()
    assert [text_of(row) for row in frame.rows] == ["3", "4"]
    assert [text_of(row) for row in frame.scrolled] == ["1", "2"]
    screen.resize(10, 4)
    screen.feed(b"\r\n5")
    assert lines(screen) == ["3", "4", "5", ""]


def test_a_screen_that_is_not_full_loses_nothing_when_it_shrinks() -> None:
    screen, _ = make(rows=10)
    screen.feed(b"prompt")
    screen.resize(10, 3)
    assert lines(screen) == ["prompt", "", ""]


def test_programs_get_their_answers() -> None:
    screen, said = make()
    screen.feed(b"ab\x1b[6n")
    assert said == [b"\x1b[1;3R"]
    screen.feed(b"\x1b[>4;2m\x1b[>cplain")
    assert screen.frame().rows[0][-1].style == Style()


def test_modes_that_the_keyboard_has_to_know() -> None:
    screen, _ = make()
    screen.feed(b"\x1b[?1h\x1b[?2004h\x1b[?25l")
    frame = screen.frame()
    assert frame.application_arrows
    assert frame.bracketed_paste
    assert frame.cursor is None


def test_any_bytes_may_come() -> None:
    chance = random.Random(7)
    for _ in range(20):
        screen, _ = make()
        screen.feed(chance.randbytes(4_000))
        screen.feed("\x1bc‍\u200bend".encode())
        screen.feed(b"\x18\x1b[0m")
        screen.frame()
    screen, _ = make()
    screen.feed("a\u200bb\u200dc\ufe0fd".encode())
    assert lines(screen)[0] == "abcd"


def test_a_cursor_that_a_narrower_terminal_leaves_outside_comes_back() -> None:
    screen, _ = make(columns=20)
    screen.feed(b"0123456789abcdef")
    screen.resize(10, 4)
    screen.feed(b"XY")
    assert lines(screen)[:2] == ["0123456789", "XY"]


def test_erasing_what_no_terminal_knows_of_is_passed_over() -> None:
    screen, _ = make()
    screen.feed(b"a\x1b[9J\x1b[7Kb")
    assert lines(screen)[0] == "ab"


def test_marks_without_end_upon_a_letter_are_left_out() -> None:
    """Each costs as much as there are before it."""
    screen = TerminalScreen(10, 2, lambda answer: None)
    for _ in range(100):
        screen.feed(b"a" + "\u0301".encode() * 1000)
        screen.feed("\u0301".encode() * 1000)
    longest = max(len(run.text) for row in screen.frame().rows for run in row)
    assert 2 < longest <= MOST_MARKS + 1


def test_a_sequence_without_end_is_given_up() -> None:
    screen = TerminalScreen(10, 2, lambda answer: None)
    screen.feed(b"\x1b]0;" + b"x" * LONGEST_SEQUENCE)
    screen.feed(b"\r\n\x1b[2Kplain")
    assert "plain" in map(text_of, screen.frame().rows)
    screen.feed(b"\x1b]0;" + b"x" * 100 + b"\x07\r\n\x1b[2Ktitled")
    assert "titled" in map(text_of, screen.frame().rows)


def test_what_is_inserted_pushes_nothing_over_the_edge() -> None:
    screen = TerminalScreen(10, 2, lambda answer: None)
    screen.feed(b"0123456789\r\x1b[4hab\x1b[2@")
    screen.resize(6, 2)
    assert max(run.column + len(run.text) for run in screen.frame().rows[0]) <= 6
