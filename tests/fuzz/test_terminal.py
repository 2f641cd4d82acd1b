"""Logs and terminals: escape sequences of a container or of root in the guest have no effect.

An input is the output of a container. The command line prints it without control characters,
however it is split; the log view makes plain text of it; the window's terminal shows it and answers
only queries of its type and its cursor. A few kilobytes take little time, and so does an endless
line. Next: `engine/cli/output.py`, `desktop/widgets/terminal/screen.py`.
"""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest

from desktop.widgets.log.ansi import AnsiReader
from desktop.widgets.terminal.screen import HISTORY, LONGEST_SEQUENCE, Frame, TerminalScreen
from desktop.widgets.terminal.styled_runs import text_of
from engine.cli import logs
from engine.cli.output import Printable, printable
from tests.fuzz.harness import Fuzz, Source
from vm.guest import terminal

COLUMNS, ROWS = 20, 6
REPEATED = b"\0again"  # at the end of an input: the data before it is repeated
MOST = 1 << 16  # bytes
ANSWERS = re.compile(rb"\x1b\[\?6c|\x1b\[0n|\x1b\[\d{1,4};\d{1,4}R")
ESCAPES = (
    *(
        b"\x1b[",
        b"\x1b]0;",
        b"\x1b]52;c;AAAA\x07",
        b"\x1b]8;;x\x1b\\",
        b"\x1bP",
        b"\x1b\\",
        b"\x07",
    ),
    *(b"\x1b[6n", b"\x1b[c", b"\x1b[>c", b"\x1b[21t", b"\x1b[18t", b"\x05", b"\x1b[5n", b"\x1bZ"),
    *(b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[2J", b"\x1b[9999;9999H", b"\x1b[9999L", b"\x1b[9999@"),
    *(
        b"\x1b[38;5;300m",
        b"\x1b[38;2;1m",
        b"\x1b[1;31m",
        b"\x1b[m",
        b"\x1b[?3h",
        b"\x1b[4h",
        b"\x1bc",
    ),
    *(b"\x1b[2;3r", b"\x1b[r", b"\x1bM", b"\x1bD", b"\x1b7", b"\x1b8", b"\x1b(0", b"\x0e", b"\x0f"),
    *(b"\r", b"\n", b"\t", b"\b", b"\xc2\x9b6n", b"\xc2\x9d0;", "\u0301".encode(), "宽".encode()),
    *(
        b"\xff",
        b"\xe2\x80\xae",
        b"\xf0\x9f\x91\xa9\xe2\x80\x8d",
        b"9" * 5000,
        b"m",
        b"h",
        b"a" * 30,
    ),
    *(
        b"\x1b#8",
        b"\x1b[?25l",
        b"\x1b[?7l",
        b"\x1b[99X",
        b"\x1b[99P",
        b"\x1b[99M",
        b"\x1b[g",
        b"\x1bH",
    ),
)


def output(source: Source) -> bytes:
    written = b"".join(source.some(14, lambda: source.pick((*ESCAPES, source.blob()))))
    return written + (REPEATED if source.one_in(12) else b"")


def target(file: Path) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        if data.endswith(REPEATED):
            data = data.removesuffix(REPEATED)
            data *= MOST // (len(data) or 1)
        _check_command_line(data, file)
        _check_log_view(data)
        _check_terminal(data)

    return run


def _is_plain(text: str) -> bool:
    """Whether a text has no control characters except line ends and tabs."""
    directions = {
        "\u2028",
        "\u2029",
        *map(chr, range(0x202A, 0x202F)),
        *map(chr, range(0x2066, 0x206A)),
    }
    return not any(
        unicodedata.category(char) == "Cc" or char in directions for char in {*text} - {"\n", "\t"}
    )


def _check_command_line(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    for line in logs._lines(file, 100, follow=False):
        assert _is_plain(printable(line))
    whole, cut = Printable(), Printable()
    shown = whole(data)
    assert b"".join(cut(data[at : at + 3]) for at in range(0, len(data), 3)) == shown
    assert _is_plain(shown.decode())
    assert _attached(data) == shown


def _attached(data: bytes) -> bytes:
    """The output of `galley logs --follow`, by `vm.guest.terminal`."""
    written = bytearray()
    pieces = iter([*filter(None, (data[:7], data[7:])), b""])
    events: SimpleQueue[terminal.Event] = SimpleQueue()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(terminal, "write_all", lambda handle, shown: written.extend(shown))
        terminal._output(lambda limit: next(pieces), Printable(), 1, events)
    assert events.get() == terminal.END
    return bytes(written)


def _check_log_view(data: bytes) -> None:
    reader = AnsiReader()
    for line in data.decode(errors="replace").split("\n"):
        text, spans = reader.read(line)
        assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f]", text)
        end = 0
        for start, length, style in spans:
            assert end <= start
            end = start + length
            assert length > 0
            assert min(style.foreground, style.background) >= -1
            assert max(style.foreground, style.background) < 1 << 25
        assert end <= len(text)


def _check_terminal(data: bytes) -> None:
    answered: list[bytes] = []
    screen = TerminalScreen(COLUMNS, ROWS, answered.append)
    screen.feed(data[: len(data) // 2])
    _check_frame(screen.frame(), COLUMNS, ROWS)
    screen.resize(COLUMNS - 7, ROWS + 2)
    screen.feed(data[len(data) // 2 :])
    _check_frame(screen.frame(), COLUMNS - 7, ROWS + 2)
    assert len(screen._screen.title) <= LONGEST_SEQUENCE
    screen.feed(b"\x18\x1b\\\x1bc\x1b[?25hstill here")
    frame = screen.frame()
    assert "still here" in map(text_of, frame.rows), "the terminal shows new output"
    assert all(ANSWERS.fullmatch(answer) for answer in answered), answered


def _check_frame(frame: Frame, columns: int, rows: int) -> None:
    assert len(frame.rows) == rows
    assert len(frame.scrolled) <= HISTORY
    if frame.cursor is not None:
        assert 0 <= frame.cursor[0] < frame.columns
        assert 0 <= frame.cursor[1] < rows
    for row in frame.rows:
        for run in row:
            assert 0 <= run.column < max(columns, frame.columns) + 1
            assert "\x1b" not in run.text


def test_terminal(fuzz: Fuzz, tmp_path: Path) -> None:
    fuzz("terminal", target(tmp_path / "log"), output, [*ESCAPES, REPEATED])
