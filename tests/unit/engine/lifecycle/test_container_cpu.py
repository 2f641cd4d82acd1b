"""Whether containers use CPU, measured by two readings."""

from collections.abc import Iterable

import pytest

from engine.lifecycle.container_cpu import CpuUseCheck
from engine.ports.published_spec import Container

DATABASE = Container("db", State="running")
PAUSED = Container("still", State="paused")


class Meter:
    """A meter that reads `used` CPU seconds; the clock is at `time`."""

    def __init__(self) -> None:
        self.used = 500.0
        self.time = 100.0
        self.containers_read: list[list[Container]] = []

    def cpu_seconds(self, containers: Iterable[Container]) -> float:
        self.containers_read.append(list(containers))
        return self.used


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def check(meter: Meter) -> CpuUseCheck:
    return CpuUseCheck(meter, lambda: meter.time)


@pytest.mark.parametrize(("used", "is_idle"), [(0.0, True), (0.09, True), (0.11, False)])
def test_a_hundredth_of_a_cpu_is_idle(
    meter: Meter, check: CpuUseCheck, used: float, is_idle: bool
) -> None:
    containers = (DATABASE, PAUSED)
    assert not check.are_idle(containers), "one reading is not enough"
    meter.used += used
    meter.time += 10
    assert check.are_idle(containers) is is_idle
    assert meter.containers_read == [[DATABASE]] * 2


def test_each_reading_is_compared_with_the_one_before(meter: Meter, check: CpuUseCheck) -> None:
    containers = (DATABASE,)
    found = []
    for used in (0, 5, 0, 0):
        meter.used += used
        meter.time += 10
        found.append(check.are_idle(containers))
    assert found == [False, False, True, True]


def test_a_new_list_of_containers_needs_two_readings(meter: Meter, check: CpuUseCheck) -> None:
    """Also when they are equal: a container may have restarted, which resets its CPU seconds."""
    for _ in range(2):
        containers = (Container("db", State="running"),)
        assert not check.are_idle(containers)
        meter.time += 10
        assert check.are_idle(containers)


def test_without_running_containers_nothing_is_read(meter: Meter, check: CpuUseCheck) -> None:
    assert check.are_idle(())
    assert check.are_idle((PAUSED,))
    assert meter.containers_read == []
