"""One thread that does one job after another, each to its end. May import: `vm.errors`.

Next: `machine.py`, whose transitions are such jobs.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from vm.errors import GalleyError

log = logging.getLogger(__name__)

Job = Callable[[], None]


class Worker:
    """`on_mistake` hears of an error that is not the user's; the next job is done all the same."""

    def __init__(self, name: str, on_mistake: Callable[[Exception], None]) -> None:
        self._name = name
        self._on_mistake = on_mistake
        self._jobs: queue.Queue[tuple[Job, Future[None]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> Future[None]:
        """For any thread. What the job raises, the Future does."""
        done: Future[None] = Future()
        self._jobs.put((job, done))
        return done

    def end(self, patience: float) -> None:
        """After the jobs that are there, or after so many seconds."""
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, done = entry
            try:
                job()
            except GalleyError as error:
                done.set_exception(error)
            except Exception as error:  # boundary: the worker must outlive any job
                log.exception("the %s's worker met an unexpected error", self._name)
                self._on_mistake(error)
                done.set_exception(error)
            else:
                done.set_result(None)
