"""Copies a disk with a real QEMU, whose machine has nothing but that disk."""

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest

from vm.backends.qemu import mirror, program, qmp
from vm.backends.qemu.command import DATA
from vm.errors import BackendFailed, Cancelled
from vm.host import sparse
from vm.messages import Message

MIB = 1 << 20
SIZE = 256 * MIB


class Disk:
    """A disk of 256 MiB with `data` at 100 MiB, and the QEMU that has it open."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.file, self.target = folder / "data.img", folder / "copy.img"
        with self.file.open("wb") as disk:
            disk.truncate(SIZE)
            disk.seek(100 * MIB)
            disk.write(data)
        self.socket = folder / "qmp"
        drive = f"if=none,id=guest,format=raw,discard=unmap,node-name={DATA},file={self.file}"
        self.process = subprocess.Popen(
            [
                program.find().path,
                *("-machine", "none", "-nodefaults", "-display", "none"),
                *("-drive", drive),
                *("-qmp", f"unix:{self.socket},server=on,wait=off"),
            ]
        )
        self.control = partial(qmp.session, self.socket)

    def answers(self) -> bool:
        try:
            with self.control() as session:
                return session.field("query-status", "status") is not None
        except qmp.QmpSilent:
            assert self.process.poll() is None
            return False

    def write(self, place: int, pattern: int) -> None:
        """Writes as the guest would."""
        with self.control() as session:
            output = session.monitor(f'qemu-io guest "write -P {pattern} {place} 64k"')
        assert "error" not in output.lower(), output

    def copy(
        self,
        on_quiesced: Callable[[], object] = lambda: None,
        report: sparse.Report = lambda done, total: None,
    ) -> None:
        @contextmanager
        def quiesced() -> Iterator[None]:
            on_quiesced()
            yield

        mirror.copy_by_job(self.control, SIZE, self.target, quiesced, report)

    def leftovers(self) -> tuple[object, bool]:
        """QEMU's jobs, and whether the copy's block node exists."""
        with self.control() as session:
            nodes = str(session.execute("query-named-block-nodes", flat=True))
            return session.execute("query-jobs"), f"'{mirror.NODE}'" in nodes


@pytest.fixture
def disk() -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(prefix="galley-") as folder:
        made = Disk(Path(folder), b"data" * MIB)
        never = threading.Event()
        while not made.answers():
            never.wait(0.02)
        yield made
        made.process.kill()
        made.process.wait()


def test_a_copy_is_the_disk_at_the_moment_it_was_quiesced(disk: Disk) -> None:
    disk.copy(on_quiesced=lambda: disk.write(10 * MIB, 7))
    disk.write(20 * MIB, 8)
    copied = disk.target.read_bytes()
    assert copied[100 * MIB : 104 * MIB] == b"data" * MIB
    assert copied[10 * MIB : 10 * MIB + 65536] == b"\7" * 65536
    assert copied[20 * MIB : 20 * MIB + 65536] == b"\0" * 65536
    assert len(copied) == SIZE
    assert sparse.allocated(disk.target) < 8 * MIB
    assert disk.leftovers() == ([], False)


def test_a_copy_can_be_cancelled_and_repeated(disk: Disk) -> None:
    def cancel(done: int, total: int) -> None:
        assert done <= total
        raise Cancelled(Message("", "Enough."))

    with pytest.raises(Cancelled):
        disk.copy(report=cancel)
    assert disk.leftovers() == ([], False)
    disk.target.unlink()
    disk.copy()
    assert disk.target.read_bytes() == disk.file.read_bytes()


def test_a_copy_whose_caller_was_killed_is_dropped(disk: Disk) -> None:
    disk.target.touch()
    begun = mirror._begun(disk.control, disk.target)
    begun.__enter__()
    assert disk.leftovers()[1]
    mirror.drop_job(disk.control)
    assert disk.leftovers() == ([], False)
    mirror.drop_job(disk.control)
    begun.__exit__(None, None, None)


def test_a_full_disk_is_an_error_and_the_machine_continues(disk: Disk) -> None:
    place = disk.target.parent / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
    disk.target = place / "copy.img"
    try:
        with pytest.raises(BackendFailed, match="No space left"):
            disk.copy()
        disk.write(10 * MIB, 7)
        assert disk.leftovers() == ([], False)
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_qemu_that_dies_is_an_error(disk: Disk) -> None:
    with pytest.raises(BackendFailed):
        mirror.copy_by_job(
            disk.control, SIZE, disk.target, nullcontext, lambda done, total: disk.process.kill()
        )
