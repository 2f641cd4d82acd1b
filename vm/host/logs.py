"""Log files: bounded, rotated, and their last lines.

`name.log` is the current file, `name.1.log` the one before it, and so on. `logging` is imported
only by writers, for clients read a tail at most.
"""

import os
import sys
import threading
from pathlib import Path

TAIL_BYTES = 64 * 1024


def start_log(path: Path, *, limit: int = 1024 * 1024, keep: int = 3) -> None:
    """Send this process's log to `path`, and every uncaught exception of every thread.

    Files have at most `limit` bytes; `keep` older ones stay. Raises OSError.
    """
    import logging
    from logging.handlers import RotatingFileHandler

    handler = RotatingFileHandler(path, maxBytes=limit, backupCount=keep, encoding="utf-8")
    handler.namer = _numbered
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(threadName)s] %(message)s")
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    _log_uncaught()


def stop_log() -> None:
    """Close the files of `start_log`, and restore the default handling of uncaught exceptions."""
    import logging
    from logging.handlers import RotatingFileHandler

    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, RotatingFileHandler)]:
        root.removeHandler(handler)
        handler.close()
    sys.excepthook = sys.__excepthook__
    threading.excepthook = threading.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__


def _numbered(default_name: str) -> str:
    """`supervisor.log.1` → `supervisor.1.log`, so that it still opens as a log."""
    stem, number = default_name.rsplit(".", 1)
    base, suffix = os.path.splitext(stem)
    return f"{base}.{number}{suffix}"


def _log_uncaught() -> None:
    import logging

    log = logging.getLogger("uncaught")

    def in_main(kind: type[BaseException], error: BaseException, trace: object, /) -> None:
        log.critical("in the main thread", exc_info=error)

    def in_thread(args: threading.ExceptHookArgs, /) -> None:
        name = args.thread.name if args.thread else "a thread"
        log.critical("in %s", name, exc_info=args.exc_value)

    def in_destructor(args: "sys.UnraisableHookArgs", /) -> None:
        log.error("ignored in %r", args.object, exc_info=args.exc_value)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    sys.unraisablehook = in_destructor


def turn(path: Path, limit: int) -> None:
    """Rotate a log that is longer than `limit` bytes. Raises OSError."""
    if path.exists() and path.stat().st_size > limit:
        os.replace(path, path.with_suffix(f".1{path.suffix}"))


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log, "" without one; reads at most 64 KiB."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
