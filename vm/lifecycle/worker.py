"""A worker thread that runs jobs one after another.

Next: `machine.py`, whose transitions are such jobs.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from vm.errors import GalleyError

log = logging.getLogger(__name__)

Job = Callable[[], None]


class Worker:
    """`on_error` gets any error that is not a GalleyError. The next job runs in any case."""

    def __init__(self, name: str, on_error: Callable[[Exception], None]) -> None:
        self._name = name
        self._on_error = on_error
        self._jobs: queue.Queue[tuple[Job, Future[None]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> Future[None]:
        """Queue a job; its error becomes the Future's. Any thread."""
        done: Future[None] = Future()
        self._jobs.put((job, done))
        return done

    def end(self, patience: float) -> None:
        """End the thread after the queued jobs. Waits for it at most `patience` seconds."""
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            self._do(*entry)

    def _do(self, job: Job, done: Future[None]) -> None:
        error = _failure(job)
        if error is not None and not isinstance(error, GalleyError):
            log.error("the %s's worker met an unexpected error", self._name, exc_info=error)
            second = _failure(partial(self._on_error, error))
            if second is not None:
                log.error("the handler of that error failed, too", exc_info=second)
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def _failure(job: Job) -> Exception | None:
    try:
        job()
    except Exception as error:  # boundary: the worker must outlive any job
        return error
    return None
