"""Docker's log lines as rows, and where reading continues after a restart."""

from desktop.pages.containers.logs.feed import Mark, RowMaker
from desktop.widgets.log.rows import PIECE
from engine.docker.types import LogLine


def test_a_long_line_becomes_several_rows() -> None:
    maker = RowMaker()
    first = maker.rows(LogLine("stdout", "\x1b[31m" + "x" * 1500, 1.0, goes_on=True))
    rest = maker.rows(LogLine("stdout", "y", 2.0))
    assert [len(row.text) for row in first] == [PIECE, 1500 - PIECE]
    assert [row.begins for row in (*first, *rest)] == [True, False, False]
    assert [row.spans[0][:2] for row in first] == [(0, PIECE), (0, 1500 - PIECE)]
    assert maker.rows(LogLine("stdout", "next", 3.0))[0].begins


def test_an_empty_last_piece_of_a_line_adds_no_row() -> None:
    maker = RowMaker()
    maker.rows(LogLine("stdout", "x", 1.0, goes_on=True))
    assert maker.rows(LogLine("stdout", "", 1.0)) == []
    assert len(maker.rows(LogLine("stdout", "", 1.0))) == 1  # an empty line is one


def test_stdout_and_stderr_have_separate_styles() -> None:
    maker = RowMaker()
    maker.rows(LogLine("stdout", "\x1b[31mred", 1.0))
    plain = maker.rows(LogLine("stderr", "plain", 1.0))[0]
    assert plain.spans == ()
    assert plain.is_error


def test_lines_that_were_already_read_are_skipped() -> None:
    mark = Mark()
    for time in (1.0, 2.0, 2.0):
        mark.note(LogLine("stdout", "old", time))
    again = [LogLine("stdout", text, 2.0) for text in ("old", "old", "new")]
    later = LogLine("stdout", "later", 3.0)
    found, seen = mark.unseen([*again, later], mark.count)
    assert [line.text for line in found] == ["new", "later"]
    assert seen == 0


def test_no_new_line_of_a_truncated_log_is_skipped() -> None:
    mark = Mark()
    for _ in range(5):
        mark.note(LogLine("stdout", "old", 2.0))
    found, seen = mark.unseen([LogLine("stdout", "new", 3.0)] * 3, mark.count)
    assert len(found) == 3
    assert seen == 0
