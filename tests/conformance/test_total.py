"""The totals of the suite, after every scenario has run.

Next: `differences.py`.
"""

from tests.conformance.suite import Suite

ENOUGH = 300


def test_enough_is_compared(suite: Suite) -> None:
    assert len(suite.findings) >= ENOUGH


def test_every_written_reason_explains_a_difference(suite: Suite) -> None:
    assert suite.stale() == []
