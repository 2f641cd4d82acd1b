"""Background calls of a test, each in a thread. A call that hangs fails the test, not the run.

A ThreadPoolExecutor waits for its threads at the end of its `with` block, and again at the
interpreter's end; a test's timeout interrupts neither.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Result[T](Future[T]):
    def result(self, timeout: float | None = None) -> T:
        """Raises TimeoutError, by default after PATIENCE."""
        return super().result(PATIENCE if timeout is None else timeout)


class Background(Executor):
    """Starts each call at once in its own daemon thread; `shutdown` waits for none."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        result: Result[T] = Result()
        result.set_running_or_notify_cancel()

        def run() -> None:
            try:
                result.set_result(fn(*args, **kwargs))
            except BaseException as error:
                result.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...
