"""The worker survives failing jobs; callers get the error of their job."""

import logging

import pytest

from vm.errors import GalleyError
from vm.lifecycle.worker import Worker
from vm.messages import Message

PATIENCE = 10.0  # seconds; only a test that fails waits so long


def refuse() -> None:
    raise GalleyError(Message("", "No."))


def mistake() -> None:
    raise ZeroDivisionError


def test_a_caller_gets_the_error_of_its_job_and_the_worker_continues() -> None:
    reported: list[Exception] = []
    worker = Worker("test", reported.append)
    worker.begin()
    done = [worker.submit(job) for job in (refuse, mistake, lambda: None)]
    assert isinstance(done[0].exception(PATIENCE), GalleyError)
    assert isinstance(done[1].exception(PATIENCE), ZeroDivisionError)
    assert done[2].exception(PATIENCE) is None
    assert [type(error) for error in reported] == [ZeroDivisionError]
    worker.end(PATIENCE)


@pytest.mark.parametrize(
    "error", [GalleyError(Message("", "It cannot be seen.")), OSError(5, "IO")]
)
def test_a_failing_error_handler_does_not_end_the_worker(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def report(_: Exception) -> None:
        raise error

    worker = Worker("test", report)
    worker.begin()
    with caplog.at_level(logging.ERROR, "vm.lifecycle.worker"):
        assert isinstance(worker.submit(mistake).exception(PATIENCE), ZeroDivisionError)
    assert str(error) in caplog.text
    assert worker.submit(lambda: None).exception(PATIENCE) is None
    worker.end(PATIENCE)
