"""Rows of a log: the limits, the search and the copied text."""

from desktop.widgets.log.rows import LogPosition, LogRow, LogRows, LogSearch


def rows(*texts: str) -> list[LogRow]:
    return [LogRow(text) for text in texts]


def test_the_newest_rows_are_kept_with_their_numbers() -> None:
    kept = LogRows(most=3)
    kept.extend(rows("a", "b"))
    kept.extend(rows("c", "d"))
    assert (kept.first, kept.end, len(kept)) == (1, 4, 3)
    assert kept[3].text == "d"
    kept.clear()
    assert (kept.first, kept.end) == (4, 4)


def test_the_number_of_characters_is_limited_too() -> None:
    kept = LogRows(most_characters=10)
    kept.extend(rows("x" * 6, "y" * 6, "z" * 20))
    assert len(kept) == 1
    assert kept[kept.first].text == "z" * 20
    kept.extend(rows("short"))
    assert len(kept) == 1


def test_pieces_of_a_line_are_copied_as_one_line() -> None:
    kept = LogRows()
    kept.extend([LogRow("one"), LogRow("two "), LogRow("goes on", begins=False), LogRow("three")])
    assert kept.text(LogPosition(0, 1), LogPosition(3, 2)) == "ne\ntwo goes on\nth"
    assert kept.text(LogPosition(1, 1), LogPosition(1, 3)) == "wo"


def test_search_runs_in_steps_and_wraps_around() -> None:
    kept = LogRows(most=2_000)
    kept.extend(rows(*(f"line {number}" for number in range(2_000))))
    search = LogSearch("LINE 19", kept)
    steps = 1
    while not search.go_on(0.0):
        steps += 1
    assert steps == 4  # of 500 rows each
    assert len(search.hits) == 111
    assert search.following(-1) == 19
    assert search.following(19) == 190
    assert search.following(1999) == 19
    assert search.preceding(190) == 19
    assert search.preceding(19) == 1999
    assert (search.rank(19), search.rank(190), search.rank(20)) == (1, 2, 0)


def test_search_covers_new_rows_and_drops_hits_in_removed_ones() -> None:
    kept = LogRows(most=3)
    kept.extend(rows("x", "y", "x"))
    search = LogSearch("x", kept)
    assert search.go_on(1.0)
    assert search.hits == [0, 2]
    kept.extend(rows("y", "x"))
    assert search.go_on(1.0)
    assert search.hits == [2, 4]


def test_the_search_text_is_no_pattern() -> None:
    kept = LogRows()
    kept.extend(rows("a.c", "abc", "(a"))
    search = LogSearch("a.c", kept)
    search.go_on(1.0)
    assert search.hits == [0]
