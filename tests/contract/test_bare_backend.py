"""A backend without capabilities: an operation that needs one fails or does nothing."""

from collections.abc import Callable, Iterator

import pytest

from tests.contract.conftest import Bench
from vm.errors import BackendFailed
from vm.types import MachineState


@pytest.fixture
def bench(make_bench: Callable[[str], Bench]) -> Iterator[Bench]:
    made = make_bench("bare")
    yield made
    made.clean_up()


def test_a_suspend_is_refused_and_the_machine_runs_on(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    pid = bench.pid()
    calls: list[bool] = []
    with pytest.raises(BackendFailed, match="cannot be suspended"):
        machine.suspend(lambda: calls.append(True))
    assert not calls, "no container is stopped for it"
    assert bench.state() is MachineState.RUNNING
    assert bench.pid() == pid
    assert machine.status.problem is None
    assert machine.guest.run(("true",)).ok
    bench.stop()
    assert not machine.status.resumable


def test_a_pause_does_nothing(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    assert not machine.pause()
    machine.wake()
    assert bench.state() is MachineState.RUNNING
    assert all(status.state is not MachineState.PAUSED for status in bench.seen)


def test_the_disk_does_not_grow_while_the_machine_runs(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    before = machine.status.disk_bytes
    machine.grow(before + (1 << 30))
    assert machine.status.disk_bytes == before
