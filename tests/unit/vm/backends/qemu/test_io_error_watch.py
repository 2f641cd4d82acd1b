"""Reports of I/O errors, with a scripted QMP server."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vm.backends.qemu.test_qmp import Server
from vm.backends.qemu import io_error_watch
from vm.directory import MachineDir
from vm.types import DiskError

RUNS: list[object] = [{"return": {"status": "running"}}]
STOP: dict[str, Any] = {"event": "STOP"}


def error(action: str, **more: object) -> dict[str, Any]:
    return {"event": "BLOCK_IO_ERROR", "data": {"action": action, "operation": "write", **more}}


@pytest.fixture
def directory() -> Iterator[MachineDir]:
    with tempfile.TemporaryDirectory() as folder:
        yield MachineDir(Path(folder), Path(folder), Path(folder))


@pytest.fixture
def server(directory: MachineDir) -> Iterator[Server]:
    running = Server(directory.events_socket)
    yield running
    running.end()


@pytest.mark.parametrize(
    ("disks", "expected"),
    [
        ([{"io-status": "ok"}, {"device": ""}, {"io-status": "nospace"}], DiskError.NO_ROOM),
        ([{"io-status": "ok"}, {"io-status": "failed"}], DiskError.REFUSED),
        ([{"io-status": "ok"}], DiskError.NO_ROOM),
    ],
)
def test_a_machine_that_is_already_halted_is_reported(
    server: Server, directory: MachineDir, disks: list[object], expected: DiskError
) -> None:
    halted: list[object] = [{"return": {"status": "io-error"}}]
    server.answer = lambda request: [{"return": disks}] if "query-block" in str(request) else halted
    assert io_error_watch.wait_for_error(directory) is expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"nospace": True, "reason": "No space left on device"}, DiskError.NO_ROOM),
        ({"nospace": False, "reason": "Input/output error"}, DiskError.REFUSED),
        ({}, DiskError.NO_ROOM),
    ],
)
def test_a_machine_that_an_io_error_stops_is_reported(
    server: Server, directory: MachineDir, more: dict[str, object], expected: DiskError
) -> None:
    server.answer = lambda _: [*RUNS, STOP, error("report"), error("stop", **more)]
    assert io_error_watch.wait_for_error(directory) is expected


def test_a_closed_socket_reports_nothing(server: Server, directory: MachineDir) -> None:
    server.answer = lambda _: [*RUNS, STOP, error("report"), "this is no QMP"]
    assert not io_error_watch.wait_for_error(directory)


def test_without_qemu_nothing_is_reported(directory: MachineDir) -> None:
    assert not io_error_watch.wait_for_error(directory)
