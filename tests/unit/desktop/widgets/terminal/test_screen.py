"""The terminal's cells: written text, scrolled lines and the alternate screen."""

import random

from desktop.widgets.log.ansi import TRUE, Style
from desktop.widgets.terminal.screen import LONGEST_SEQUENCE, MOST_MARKS, TerminalScreen
from desktop.widgets.terminal.styled_runs import Run, cut, text_of


def make(columns: int = 20, rows: int = 4) -> tuple[TerminalScreen, list[bytes]]:
    replies: list[bytes] = []
    return TerminalScreen(columns, rows, replies.append), replies


def lines(screen: TerminalScreen) -> list[str]:
    return [text_of(row) for row in screen.frame().rows]


def test_a_row_has_styles_and_wide_characters() -> None:
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


def test_a_character_may_be_split_between_two_reads() -> None:
    screen, _ = make()
    whole = "é".encode()
    screen.feed(whole[:1])
    screen.feed(whole[1:])
    assert lines(screen)[0] == "é"


def test_long_lines_wrap_as_they_do_in_a_terminal() -> None:
    screen, _ = make(columns=5)
    screen.feed(b"abcdefgh\r\n\x1b[?7lABCDEFGH")
    assert lines(screen)[:3] == ["abcde", "fgh", "ABCDH"]


def test_scrolled_lines_are_returned_once() -> None:
    screen, _ = make(rows=3)
    screen.feed(b"1\r\n2\r\n3\r\n4\r\n5")
    frame = screen.frame()
    assert [text_of(row) for row in frame.scrolled] == ["1", "2"]
    assert [text_of(row) for row in frame.rows] == ["3", "4", "5"]
    assert screen.frame().scrolled == ()


def test_leaving_the_alternate_screen_restores_the_main_screen() -> None:
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


def test_queries_of_programs_are_answered() -> None:
    screen, replies = make()
    screen.feed(b"ab\x1b[6n")
    assert replies == [b"\x1b[1;3R"]
    screen.feed(b"\x1b[>4;2m\x1b[>cplain")
    assert screen.frame().rows[0][-1].style == Style()


def test_a_frame_has_the_modes_for_the_keyboard() -> None:
    screen, _ = make()
    screen.feed(b"\x1b[?1h\x1b[?2004h\x1b[?25l")
    frame = screen.frame()
    assert frame.application_arrows
    assert frame.bracketed_paste
    assert frame.cursor is None


def test_random_bytes_do_not_break_the_screen() -> None:
    rng = random.Random(7)
    for _ in range(20):
        screen, _ = make()
        screen.feed(rng.randbytes(4_000))
        screen.feed("\x1bc‍\u200bend".encode())
        screen.feed(b"\x18\x1b[0m")
        screen.frame()
    screen, _ = make()
    screen.feed("a\u200bb\u200dc\ufe0fd".encode())
    assert lines(screen)[0] == "abcd"


def test_a_cursor_outside_a_narrower_screen_is_moved_inside() -> None:
    screen, _ = make(columns=20)
    screen.feed(b"0123456789abcdef")
    screen.resize(10, 4)
    screen.feed(b"XY")
    assert lines(screen)[:2] == ["0123456789", "XY"]


def test_unknown_erase_sequences_are_ignored() -> None:
    screen, _ = make()
    screen.feed(b"a\x1b[9J\x1b[7Kb")
    assert lines(screen)[0] == "ab"


def test_the_number_of_combining_marks_is_limited() -> None:
    """The cost of a mark grows with the number of marks before it."""
    screen = TerminalScreen(10, 2, lambda answer: None)
    for _ in range(100):
        screen.feed(b"a" + "\u0301".encode() * 1000)
        screen.feed("\u0301".encode() * 1000)
    longest = max(len(run.text) for row in screen.frame().rows for run in row)
    assert 2 < longest <= MOST_MARKS + 1


def test_an_unterminated_sequence_is_dropped() -> None:
    screen = TerminalScreen(10, 2, lambda answer: None)
    screen.feed(b"\x1b]0;" + b"x" * LONGEST_SEQUENCE)
    screen.feed(b"\r\n\x1b[2Kplain")
    assert "plain" in map(text_of, screen.frame().rows)
    screen.feed(b"\x1b]0;" + b"x" * 100 + b"\x07\r\n\x1b[2Ktitled")
    assert "titled" in map(text_of, screen.frame().rows)


def test_inserted_text_stays_inside_the_screen() -> None:
    screen = TerminalScreen(10, 2, lambda answer: None)
    screen.feed(b"0123456789\r\x1b[4hab\x1b[2@")
    screen.resize(6, 2)
    assert max(run.column + len(run.text) for run in screen.frame().rows[0]) <= 6
