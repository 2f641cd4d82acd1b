"""Rows of a log: how many are kept, what is found in them, what is copied."""

from desktop.widgets.log.rows import LogPosition, LogRow, LogRows, LogSearch


def rows(*texts: str) -> list[LogRow]:
    return [LogRow(text) for text in texts]


def test_the_newest_are_kept_and_keep_their_numbers() -> None:
    kept = LogRows(most=3)
    kept.extend(rows("a", "b"))
    kept.extend(rows("c", "d"))
    assert (kept.first, kept.end, len(kept)) == (1, 4, 3)
    assert kept[3].text == "d"
    kept.clear()
    assert (kept.first, kept.end) == (4, 4)


def test_long_rows_are_fewer() -> None:
    kept = LogRows(most_characters=10)
    kept.extend(rows("x" * 6, "y" * 6, "z" * 20))
    assert len(kept) == 1
    assert kept[kept.first].text == "z" * 20
    kept.extend(rows("short"))
    assert len(kept) == 1


def test_pieces_of_a_line_are_copied_as_one() -> None:
    kept = LogRows()
    kept.extend([LogRow("one"), LogRow("two "), LogRow("goes on", begins=False), LogRow("three")])
    assert kept.text(LogPosition(0, 1), LogPosition(3, 2)) == "ne\ntwo goes on\nth"
    assert kept.text(LogPosition(1, 1), LogPosition(1, 3)) == "wo"


def test_search_finds_bit_by_bit_and_goes_around() -> None:
    kept = LogRows(most=2_000)
    kept.extend(rows(*(f"line {number}" for number in range(2_000))))
    search = LogSearch("LINE 19", kept)
    turns = 1
    while not search.go_on(0.0):
        turns += 1
    assert turns == 4  # of 500 rows each
    assert len(search.hits) == 111
    assert search.following(-1) == 19
    assert search.following(19) == 190
    assert search.following(1999) == 19
    assert search.preceding(190) == 19
    assert search.preceding(19) == 1999
    assert (search.rank(19), search.rank(190), search.rank(20)) == (1, 2, 0)


def test_search_goes_on_in_what_comes_and_forgets_what_goes() -> None:
    kept = LogRows(most=3)
    kept.extend(rows("x", "y", "x"))
    search = LogSearch("x", kept)
    assert search.go_on(1.0)
    assert search.hits == [0, 2]
    kept.extend(rows("y", "x"))
    assert search.go_on(1.0)
    assert search.hits == [2, 4]


def test_what_is_searched_is_no_pattern() -> None:
    kept = LogRows()
    kept.extend(rows("a.c", "abc", "(a"))
    search = LogSearch("a.c", kept)
    search.go_on(1.0)
    assert search.hits == [0]
