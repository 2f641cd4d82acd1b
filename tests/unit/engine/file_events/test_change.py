"""Which changes are worth sending, and how they are encoded."""

import os

from engine.file_events.change import LONGEST, Change, Kind, encode, worth_sending

WRITTEN = [Change(Kind.MODIFY, "/a"), Change(Kind.CLOSE_WRITE, "/a")]


def test_repeated_changes_are_sent_once() -> None:
    other = Change(Kind.MODIFY, "/b")
    assert worth_sending([*WRITTEN, other, *WRITTEN * 100, other]) == [*WRITTEN, other]


def test_every_creation_and_deletion_of_a_name_is_sent() -> None:
    made, gone = Change(Kind.CREATE, "/a"), Change(Kind.DELETE, "/a")
    life = [made, *WRITTEN, gone]
    assert worth_sending(life * 3) == life * 3


def test_changes_are_encoded_as_the_guest_reads_them() -> None:
    odd = os.fsdecode(b"/with space/\xff\n")
    moved = Change(Kind.MOVED_TO | Kind.ISDIR, odd, cookie=0xABC)
    assert encode([*WRITTEN, moved]).split(b"\0") == [
        b"00000002 00000000 /a",
        b"00000008 00000000 /a",
        b"40000080 00000abc /with space/\xff\n",
        b"",
    ]


def test_a_path_too_long_for_the_guest_is_left_out() -> None:
    long = Change(Kind.MODIFY, "/" + "x" * LONGEST)
    assert encode([long, WRITTEN[0]]) == encode(WRITTEN[:1])
