"""The output of the command line, and the one place where an error becomes text.

`guarded` wraps every command: it turns what was raised into a sentence, a hint and an exit code.
Next: `exit_codes.py`.
"""

import codecs
import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pathlib import Path

    from engine.cli import Options
    from vm.errors import GalleyError, Problem

RED, YELLOW, GREEN, DIM, BOLD = "31", "33", "32", "2", "1"
# What a terminal obeys instead of showing: control characters, and those that turn the direction of
# text. Names, logs and dockerd's sentences come from containers and from root in the guest.
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_OBEYED = re.compile(f"[{_CONTROL}]")
_OBEYED_BUT_COLOUR = re.compile(rf"(\x1b\[[0-9;]*m)|[{_CONTROL}]")
BROKEN_PIPE = 141  # 128 + SIGPIPE, what a program killed by it shows


def printable(text: str) -> str:
    """Control characters as "\\u001b", as JSON writes them; tabs and newlines stay."""
    return _OBEYED.sub(_escaped, text)


def _coloured(text: str) -> str:
    """The same, but colours stay: they change nothing else in a terminal."""
    return _OBEYED_BUT_COLOUR.sub(lambda found: found[1] or _escaped(found), text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


class Printable:
    """The same for a stream of bytes, however it is cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, data: bytes) -> bytes:
        return printable(self._decoder.decode(data)).encode()


def say(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(f"{_coloured(text)}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line for people on standard error, so that a pipe gets only the result."""
    sys.stderr.write(f"{_coloured(text)}\n")
    sys.stderr.flush()


def counted(number: int, thing: str) -> str:
    """`2 files`, `1 file`; for words whose plural is regular."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def say_json(value: object) -> None:
    """A msgspec value, or lists and dicts of them, as indented JSON."""
    import msgspec

    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def say_json_line(value: object) -> None:
    """One value of an endless answer: JSON on a line of its own."""
    say(_json_line(value))


def _json_line(value: object) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()


def styled(text: str, style: str, stream: TextIO) -> str:
    """Coloured on a terminal whose user did not set NO_COLOR."""
    if not text or os.environ.get("NO_COLOR") or not stream.isatty():
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def problem_text(problem: "Problem", *, details: bool, stream: TextIO) -> str:
    """Sentence, hint, and the details or how to see them."""
    lines = [styled(problem.summary, RED, stream)]
    if problem.hint:
        lines += ["  " + line for line in problem.hint.splitlines()]
    if problem.details and details:
        lines += [styled("  │ " + line, DIM, stream) for line in problem.details.splitlines()]
    elif problem.details:
        lines.append(styled("  Add --details to see more.", DIM, stream))
    return "\n".join(lines)


def guarded(command: Callable[[], int], *, log: Callable[[], "Path"], options: "Options") -> int:
    """Run a command; whatever it raises becomes text and an exit code, never a traceback.

    With `--json` an error is the last line on standard error, a `Problem` as JSON. Standard output
    is left to the answer, as docker and gh leave it."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        note("Cancelled.")
        return 128 + 2
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE
    except Exception as error:  # the excepthook of the command line
        return _explain(error, log, options)


def _explain(error: Exception, log: Callable[[], "Path"], options: "Options") -> int:
    from engine.cli.exit_codes import exit_code
    from vm.errors import GalleyError

    known = error if isinstance(error, GalleyError) else _unexpected(error, log)
    problem = known.to_problem()
    if options.as_json:
        note(_json_line(problem))
    else:
        details = options.details or (known is not error)  # without a log they are nowhere else
        note(problem_text(problem, details=details, stream=sys.stderr))
    return exit_code(known)


def _forget_stdout() -> None:
    """The reader of the output is gone: prevent Python's error when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception, log: Callable[[], "Path"]) -> "GalleyError":
    """The error for the user; the traceback goes to a log file."""
    import time
    import traceback

    from engine.messages.cli import CLI_MISTAKE, CLI_MISTAKE_UNLOGGED
    from vm.errors import GalleyError

    kind = type(error).__name__
    trace = "".join(traceback.format_exception(error))
    try:
        path = log()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(path, "a", encoding="utf-8") as file:
            # The command without its arguments, which may hold a password.
            file.write(
                f"{time.strftime('%Y-%m-%d %X')} galley {' '.join(sys.argv[1:2])}\n{trace}\n"
            )
    except (OSError, GalleyError):
        return GalleyError(CLI_MISTAKE_UNLOGGED, kind=kind, error=str(error), details=trace)
    return GalleyError(CLI_MISTAKE, kind=kind, error=str(error), path=path)
