"""A machine whose boot messages come by the agent stream alone: its backend has no console.

QEMU writes the serial console to another file, with which the messages are compared.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.contract.conftest import PATIENCE, Bench
from vm.backend import Force
from vm.backends.qemu.backend import QemuBackend
from vm.backends.qemu.launch import plan
from vm.backends.qemu.start import cold_start
from vm.capabilities import Progress
from vm.directory import MachineDir
from vm.guest.console import Console
from vm.types import BootOptions, MachineSpec, MachineState

pytestmark = pytest.mark.vm
SHORT = 10.0  # seconds between two presses


class WithoutConsole(QemuBackend):
    """It takes no boot checkpoint, and its console log is for the agent stream to write."""

    features = msgspec.structs.replace(QemuBackend.features, boot_messages="stream")

    def __init__(self) -> None:
        super().__init__()
        self.boot_checkpoints = None

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        launch, chosen = plan(directory, spec, options, progress)
        launch = msgspec.structs.replace(launch, console_log=serial_log(directory))
        cold_start(directory, launch, chosen, spec)


def serial_log(directory: MachineDir) -> Path:
    return directory.logs / "serial.log"


@pytest.fixture
def bench(make_bench: Callable[[str], Bench]) -> Iterator[Bench]:
    made = make_bench("qemu")
    made.backend = WithoutConsole()
    yield made
    made.clean_up()


def press_until_it_ends(bench: Bench) -> None:
    """The guest loses a press that comes before it watches the power button."""
    for _ in range(int(PATIENCE / SHORT)):
        bench.backend.stop(bench.directory, Force.ASK)
        if bench.backend.wait_stopped(bench.directory, SHORT):
            return
    raise AssertionError("the power button does not end the machine")


def test_a_boot_an_adoption_and_an_end_by_the_stream_and_the_power_button(bench: Bench) -> None:
    bench.open()
    bench.boot()
    console, serial = bench.machine.story.console, Console(serial_log(bench.directory))
    bench.wait_for(lambda: console.lines() == serial.lines())
    lines = console.lines()
    assert lines[0] == "kernel"
    assert any(line.startswith("hostkey ") for line in lines)
    bench.machine.close()
    bench.directory.console_log.unlink()
    bench.open()
    bench.wait_for(lambda: bench.state() is MachineState.RUNNING)
    assert console.lines() == lines, "the agent sends them again"
    bench.machine.guest.dial("/run/galley/keeper.sock").close()
    press_until_it_ends(bench)
    assert "Power down" in serial_log(bench.directory).read_text(), "by the power button"
