"""The progress of a check, a download or a build of an image, on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.cli.output import note, printable
from vm.messages import Text

CLEAR_LINE = "\r\x1b[2K"


@contextmanager
def image_progress() -> Iterator[Callable[[Text], None]]:
    """A terminal has one line that changes; a file gets each kind of message once."""
    if sys.stderr.isatty():
        yield _on_terminal
        sys.stderr.write(CLEAR_LINE)
        return
    last = ""

    def show(text: Text) -> None:
        nonlocal last
        if text.code != last:
            last = text.code
            note(text.english)

    yield show


def _on_terminal(text: Text) -> None:
    sys.stderr.write(f"{CLEAR_LINE}{printable(text.english)}")
    sys.stderr.flush()
