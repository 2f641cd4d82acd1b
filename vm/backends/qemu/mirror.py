"""Copies the data disk of a running machine with QEMU's mirror job, ended at one moment.

The job copies all blocks, and new writes of the guest go to both files. When they are equal the
guest's file system is frozen and the job ends: the copy is the disk at that moment. Holes stay
holes. The job is QEMU's and outlives its caller; the next supervisor drops it. Next: `qmp.py`.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from vm.backends.qemu import running
from vm.backends.qemu.command import DATA
from vm.backends.qemu.qmp import QmpSilent, Session
from vm.capabilities import CopiesDisk, Still
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.host import sparse
from vm.host.sparse import Report
from vm.messages.qemu import QEMU_COPY_FAILED, QEMU_JOB_GONE

JOB, NODE = "galley-copy", "copy"
POLL = 0.1  # seconds; an open session would block all others
LAST_POLL = 0.005  # while the guest is frozen
DEADLINE = 30.0  # seconds for one command; the last one waits for the disk

type Control = Callable[[], AbstractContextManager[Session]]


class Job(msgspec.Struct, frozen=True, rename="kebab"):
    """A row of query-jobs."""

    id: str
    status: str
    current_progress: int
    total_progress: int
    error: str | None = None


class DiskMirror(CopiesDisk):
    """Where the file system supports reflinks, the copy is a clone, and QEMU is not involved."""

    def copy(self, directory: MachineDir, target: Path, still: Still, report: Report) -> None:
        found = running.find(directory)
        if found is None:
            sparse.duplicate(directory.data_disk, target, report)
            return
        if sparse.clones(target.parent):
            with still():
                sparse.duplicate(directory.data_disk, target, report)
            return
        sparse.check_room(target.parent, sparse.allocated(directory.data_disk))
        control = partial(running.control, directory, found, DEADLINE)
        copy_by_job(control, directory.data_disk.stat().st_size, target, still, report)

    def drop(self, directory: MachineDir) -> None:
        found = running.find(directory)
        if found is not None:
            drop_job(partial(running.control, directory, found))


def copy_by_job(control: Control, size: int, target: Path, still: Still, report: Report) -> None:
    """Raises BackendFailed, what `report` raises, and OSError."""
    drop_job(control)
    with sparse.new_file(target) as new:
        new.truncate(size)
        with _begun(control, target):
            while True:
                job = _look(control)
                report(job.current_progress, job.total_progress)
                if job.status == "ready":
                    break
                time.sleep(POLL)
            with still(), control() as session:
                session.execute("block-job-cancel", device=JOB)
                while _found(session).status != "concluded":
                    time.sleep(LAST_POLL)
        os.fsync(new.fileno())


def drop_job(control: Control) -> None:
    """End the job, if there is one, and close its target. An incomplete copy is useless."""
    with control() as session:
        while (job := _job(session)) is not None:
            try:
                if job.status == "concluded":
                    session.execute("job-dismiss", id=JOB)
                else:
                    session.execute("block-job-cancel", device=JOB, force=True)
            except QmpSilent:
                raise
            except BackendFailed:  # its state has changed meanwhile
                time.sleep(LAST_POLL)
        listed = session.execute("query-named-block-nodes", flat=True)
        nodes = msgspec.convert(listed, list[dict[str, object]])
        if any(node["node-name"] == NODE for node in nodes):
            session.execute("blockdev-del", **{"node-name": NODE})


@contextmanager
def _begun(control: Control, target: Path) -> Iterator[None]:
    file = {"driver": "file", "filename": str(target), "discard": "unmap"}
    try:
        with control() as session:
            session.execute(
                "blockdev-add", **{"node-name": NODE}, driver="raw", file=file, discard="unmap"
            )
            session.execute(
                "blockdev-mirror",
                **{"job-id": JOB, "copy-mode": "write-blocking", "auto-dismiss": False},
                device=DATA,
                target=NODE,
                sync="full",
            )
        yield
    finally:
        drop_job(control)


def _look(control: Control) -> Job:
    with control() as session:
        return _found(session)


def _found(session: Session) -> Job:
    """Raises BackendFailed where the job has failed."""
    job = _job(session)
    if job is None or job.error is not None:
        reason = job.error if job is not None else QEMU_JOB_GONE
        raise BackendFailed(QEMU_COPY_FAILED, reason=reason, details=str(job))
    return job


def _job(session: Session) -> Job | None:
    jobs = msgspec.convert(session.execute("query-jobs"), list[Job])
    return next((job for job in jobs if job.id == JOB), None)
