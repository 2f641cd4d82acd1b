"""The steps of every machine's boot, in order.

Host side: prepare (image, spec), create, start. Inside, read from the console log, which the
backend or the agent stream writes: Linux, data disk, identity, ssh. The owner of the machine adds
its own after these.
"""

import threading
from collections.abc import Callable
from functools import partial

import msgspec

from vm import last_spec
from vm.backend import Backend
from vm.capabilities import BootCheckpoints, Suspends
from vm.directory import MachineDir
from vm.errors import (
    BootDied,
    BootFailed,
    DataDiskDamaged,
    GalleyError,
    GuestChanged,
    GuestOutdated,
    GuestUnreachable,
    NoMachine,
    Problem,
)
from vm.guest.agent import GuestAgent
from vm.guest.console import Console
from vm.guest.protocol import HANDOVER, AgentGuest, Guest
from vm.guest.ssh import make_key, public_blob
from vm.host.paths import write_atomic
from vm.lifecycle.steps import Patience, Step, StepFailed
from vm.messages import Text
from vm.messages.guest import GUEST_HOST_KEY_ON_CONSOLE
from vm.messages.machine import (
    BOOT_DIED,
    BOOT_FILES_NOT_TAKEN,
    BOOT_NOTHING,
    BOOT_PART_FAILED,
    BOOT_SECOND_TRY,
    DISK_DAMAGED,
    MACHINE_OUTDATED,
    STEP_AGAIN,
    STEP_CONNECT,
    STEP_CREATE,
    STEP_IDENTITY,
    STEP_IMAGE,
    STEP_LINUX,
    STEP_MOUNT,
    STEP_START,
    STEP_WAKE,
)
from vm.types import BootOptions, MachineSpec, MachineState

Prepare = Callable[[Patience, Callable[[Text], None]], MachineSpec]


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds that each step may take: far above what a slow host needs, so that missing one means
    a hang. The data disk's allows for a file system check after an unclean stop.
    """

    prepare: float = 1800.0
    create: float = 60.0
    start: float = 180.0
    linux: float = 60.0
    disk: float = 600.0
    identity: float = 60.0
    connect: float = 60.0


class BootStory:
    """Waits for lines on the console of a booting machine, or for its end."""

    def __init__(self, directory: MachineDir, backend: Backend) -> None:
        self._directory = directory
        self._backend = backend
        self.console = Console(directory.console_log)

    def wait_end(self) -> None:
        """Block until the machine has ended; bounds the console log meanwhile."""
        self.console.keep_short(partial(self._backend.wait_stopped, self._directory))

    def wait_for_line(self, wait: Patience, *starts: str) -> str:
        """Wait until the guest has written a line that begins like one of `starts`.

        Raises BootFailed when the machine ends, or a part of the guest fails, before that.
        """
        looks = 0
        while (line := self.console.find(*starts, "failed")) is None:
            looks += 1
            if looks % 10 == 0 and self._backend.wait_stopped(self._directory, 0):
                raise self.died()
            wait.wait()
        if line.startswith("failed"):
            line = self.console.find(*starts) or ""
        if not line:
            reason = self.console.find("failed") or ""
            raise BootFailed(
                BOOT_PART_FAILED,
                part=reason.removeprefix("failed "),
                details=self.console.tail(),
            )
        return line

    def died(self) -> BootDied:
        return BootDied(
            BOOT_DIED,
            details=self.console.tail() + "\n" + Console(self._directory.backend_log).tail(10),
        )


def thaw(guest: Guest) -> None:
    """Thaw the data disk of a resumed guest and set its clock."""
    GuestAgent(guest.dial).thaw_and_set_time()


def send_boot_files(guest: Guest, message: bytes, patience: float) -> None:
    """Send the boot files, within `patience` seconds. Raises GuestUnreachable."""
    try:
        stream = guest.dial(HANDOVER)
    except ConnectionRefusedError:  # they have arrived: only the answer was lost
        return
    late = threading.Timer(max(patience, 1.0), stream.close)
    late.daemon = True
    late.start()
    try:
        stream.sendall(message)
        taken = stream.recv(16) == b"ok\n"
    except OSError:
        taken = False
    finally:
        late.cancel()
        stream.close()
    if not taken:
        raise GuestUnreachable(BOOT_FILES_NOT_TAKEN)


def second_attempt_notice(error: GalleyError) -> Problem:
    """The notice after a boot that succeeded at the second attempt; `error` ended the first."""
    return BootFailed(
        BOOT_SECOND_TRY,
        error=error,
        details=error.details,
    ).to_problem()


def is_outdated(guest: Guest) -> bool:
    """Whether another version of Galley has started the machine."""
    return isinstance(guest, AgentGuest) and guest.is_outdated


def outdated_notice() -> Problem:
    """The notice for a running machine that `is_outdated`."""
    return GuestOutdated(MACHINE_OUTDATED).to_problem()


class BootPlan:
    """Builds the step lists for one boot of one machine."""

    IMAGE = STEP_IMAGE.text()
    LINUX = STEP_LINUX.text()
    IDENTITY = STEP_IDENTITY.text()
    CONNECT = STEP_CONNECT.text()
    MAY_HANG = (LINUX, IDENTITY, CONNECT)  # not the mount: a file system check may just be slow

    def __init__(
        self,
        directory: MachineDir,
        backend: Backend,
        story: BootStory,
        deadlines: Deadlines,
        prepare: Prepare | None,
        repair: bool,
    ) -> None:
        self._directory = directory
        self._backend = backend
        self._story = story
        self._deadlines = deadlines
        self._prepare = prepare
        self._repair = repair
        self._spec: MachineSpec | None = None
        self._afresh = repair
        self._guest: Guest | None = None  # set once its boot files were sent

    def cold(self, note: Callable[[Text], None]) -> list[Step]:
        """The steps of a cold start on the host; `note` shows the progress of a long step."""
        limit = self._deadlines
        return [
            Step(self.IMAGE, lambda wait: self._make_spec(wait, note), limit.prepare),
            Step(STEP_CREATE.text(), lambda wait: self._create(), limit.create),
            Step(
                STEP_START.text(backend=self._backend.name),
                lambda wait: self._start(wait, note),
                limit.start,
            ),
        ]

    def warm(
        self,
        suspends: Suspends,
        note: Callable[[Text], None],
        hold: Callable[[Guest], None],
    ) -> list[Step]:
        """The steps of a resume, instead of `cold` and `in_guest`."""
        limit = self._deadlines

        def hold_and_thaw(guest: Guest) -> None:
            hold(guest)
            thaw(guest)

        return [
            Step(self.IMAGE, lambda wait: self._make_spec(wait, note), limit.prepare),
            Step(STEP_WAKE.text(), lambda wait: self._resume(suspends, note), limit.start),
            Step(self.CONNECT, lambda wait: self._connect(wait, hold_and_thaw), limit.connect),
        ]

    def in_guest(self, hold: Callable[[Guest], None]) -> list[Step]:
        """The steps that the guest reports; `hold` gets the connection once it answers."""
        limit = self._deadlines
        again = STEP_AGAIN.text()
        return [
            Step(self.LINUX, self._linux, limit.linux, again),
            Step(STEP_MOUNT.text(), self._mount, limit.disk, again),
            Step(self.IDENTITY, self._pin, limit.identity, again),
            Step(self.CONNECT, lambda wait: self._connect(wait, hold), limit.connect, again),
        ]

    def may_retry(self, failure: StepFailed) -> bool:
        """Whether to boot a second time after this failure. That is safe: the data disk was mounted
        at most, and is checked."""
        if isinstance(failure.error, BootDied):
            return True
        return failure.step.name in self.MAY_HANG and isinstance(failure.error, BootFailed)

    def _make_spec(self, wait: Patience, note: Callable[[Text], None]) -> None:
        if self._prepare is None:
            raise NoMachine(BOOT_NOTHING)
        self._spec = self._prepare(wait, note)

    def _spec_or_raise(self) -> MachineSpec:
        if self._spec is None:
            raise NoMachine(BOOT_NOTHING)
        return self._spec

    def _create(self) -> None:
        if not self._directory.key.exists() or not self._directory.public_key.exists():
            make_key(self._directory.key, self._directory.public_key)
        self._backend.create(self._directory, self._spec_or_raise())

    def _start(self, wait: Patience, note: Callable[[Text], None]) -> None:
        spec, said = self._spec_or_raise(), Text("")

        def note_change(text: Text) -> None:
            nonlocal said
            wait.wait(0)
            if text != said:
                note(text)
            said = text

        is_new = self._directory.data_is_new.exists()
        if is_new:
            self._directory.known_host.unlink(missing_ok=True)
        options = BootOptions(
            login_key=public_blob(self._directory.public_key),
            format_disk=is_new,
            grow_disk=not is_new and self._grew(spec),
            repair_disk=self._repair,
        )
        checkpoints, afresh = self._backend.boot_checkpoints, self._afresh
        self._afresh = True  # for a second attempt
        if checkpoints is not None and not afresh:
            checkpoints.start(self._directory, spec, options, note_change)
            return
        if checkpoints is not None:
            checkpoints.forget(self._directory)
        self._backend.start(self._directory, spec, options, note_change)

    def _resume(self, suspends: Suspends, note: Callable[[Text], None]) -> None:
        options = BootOptions(login_key=public_blob(self._directory.public_key))
        suspends.resume(self._directory, self._spec_or_raise(), options, note)

    def _grew(self, spec: MachineSpec) -> bool:
        """Whether the disk is larger than at the last good boot, or that size is unknown."""
        last = last_spec.read(self._directory)
        return last is None or spec.disk_bytes > last.disk_bytes

    def _linux(self, wait: Patience) -> None:
        self._guest = None  # of an earlier attempt
        if self._backend.features.boot_messages == "stream":
            self._guest = self._reach(wait, lambda guest: None)
        self._story.wait_for_line(wait, "kernel")
        checkpoints = self._backend.boot_checkpoints
        if checkpoints is None or checkpoints.boot_files(self._directory) is None:
            return
        if self._story.wait_for_line(wait, "template", "disk") == "template":
            if self._guest is not None:  # the agent stream serves one
                self._guest.close()
            self._guest = self._reach(wait, partial(self._send_boot_files, checkpoints, wait))

    def _send_boot_files(self, checkpoints: BootCheckpoints, wait: Patience, guest: Guest) -> None:
        message = checkpoints.boot_files(self._directory)  # made now, for it has the time
        if message is not None:
            send_boot_files(guest, message, wait.left)

    def _mount(self, wait: Patience) -> None:
        line = self._story.wait_for_line(wait, "disk")
        if line.startswith("disk damaged"):
            self._backend.wait_stopped(self._directory, 10)
            raise DataDiskDamaged(
                DISK_DAMAGED,
                said=line.removeprefix("disk damaged").strip(),
                disk=self._directory.data_disk,
                details=self._story.console.tail(),
            )
        self._directory.data_is_new.unlink(missing_ok=True)

    def _pin(self, wait: Patience) -> None:
        """Pin the host key from the console log: only the backend writes that file."""
        shown = self._story.wait_for_line(wait, "hostkey ").removeprefix("hostkey ").strip()
        pin = self._directory.known_host
        if not pin.exists():
            write_atomic(pin, shown.encode() + b"\n")
        elif pin.read_text().split()[:2] != shown.split()[:2]:
            raise GuestChanged(
                GUEST_HOST_KEY_ON_CONSOLE,
                disk=self._directory.data_disk,
                pin=pin,
            )

    def _connect(self, wait: Patience, hold: Callable[[Guest], None]) -> None:
        if self._backend.features.sockets == "ssh":
            self._story.wait_for_line(wait, "sshd")
        reached, self._guest = self._guest, None
        if reached is not None:
            hold(reached)
        else:
            self._reach(wait, hold)

    def _reach(self, wait: Patience, then: Callable[[Guest], None]) -> Guest:
        """The guest, once it answers and `then` has returned."""
        while True:
            seen = self._backend.observe(self._directory)
            if seen.state is MachineState.STOPPED:
                raise self._story.died()
            if seen.address is not None:
                guest = self._backend.guest(self._directory, seen.address)
                try:
                    guest.connect(min(20.0, max(wait.left, 1.0)))
                    then(guest)
                    return guest
                except GuestUnreachable:
                    guest.close()
            wait.wait(0.1)
