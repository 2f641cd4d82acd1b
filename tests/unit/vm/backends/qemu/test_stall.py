"""When QEMU says that the machine stands still, against a server that says what a test wants."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vm.backends.qemu.test_qmp import Server
from vm.backends.qemu import stall
from vm.directory import MachineDir

RUNS: list[object] = [{"return": {"status": "running"}}]
STOP: dict[str, Any] = {"event": "STOP"}


def error(action: str) -> dict[str, Any]:
    return {"event": "BLOCK_IO_ERROR", "data": {"action": action, "operation": "write"}}


@pytest.fixture
def directory() -> Iterator[MachineDir]:
    with tempfile.TemporaryDirectory() as folder:
        yield MachineDir(Path(folder), Path(folder), Path(folder))


@pytest.fixture
def server(directory: MachineDir) -> Iterator[Server]:
    running = Server(directory.events_socket)
    yield running
    running.end()


def test_a_machine_that_stands_still_already(server: Server, directory: MachineDir) -> None:
    server.answer = lambda _: [{"return": {"status": "io-error"}}]
    assert stall.wait(directory)


def test_one_that_is_stopped_by_an_error(server: Server, directory: MachineDir) -> None:
    server.answer = lambda _: [*RUNS, STOP, error("report"), error("stop")]
    assert stall.wait(directory)


def test_who_tells_no_more_has_told_nothing(server: Server, directory: MachineDir) -> None:
    server.answer = lambda _: [*RUNS, STOP, error("report"), "this is no QMP"]
    assert not stall.wait(directory)


def test_where_nobody_listens_nothing_is_told(directory: MachineDir) -> None:
    assert not stall.wait(directory)
