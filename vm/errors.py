"""Every error a user can meet, as one tree.

    GalleyError                      summary, hint, details, retry
    ├── HostError                    something on this computer is in the way
    │   ├── VirtualizationOff        no usable hardware virtualization where it is required
    │   ├── ToolMissing              a program (qemu, mmdebstrap, docker) is not installed
    │   ├── ToolTooOld               it is installed, but too old
    │   ├── DiskFull                 not enough free space for what was asked
    │   ├── PortInUse                a host port is taken; names its holder
    │   ├── NotEnough                more CPUs or memory asked than the host has
    │   ├── KeyringUnusable          there is none, it is locked, or it does not answer
    │   └── HomeUnusable             GALLEY_HOME cannot be written, or its path is too long
    ├── MachineError                 the virtual machine
    │   ├── NoMachine                there is none yet
    │   ├── MachineBusy              another transition or another Galley holds it
    │   ├── BootFailed               a boot step passed its deadline
    │   │   └── BootDied             the VM ended before it was up
    │   ├── GuestUnreachable         ssh does not answer (any more)
    │   ├── GuestChanged             the guest shows another host key than the pinned one
    │   ├── GuestOutdated            another version of Galley has started the running machine
    │   ├── ImageDamaged             a part of the guest image is missing or altered
    │   ├── DataDiskDamaged          the file system that holds images and volumes
    │   ├── SnapshotRefused          its name is taken or impossible, or there is none of that name
    │   ├── BackendFailed            QEMU, WSL or Hyper-V refused a command
    │   ├── NotResumable             the suspended state does not fit any more, or is damaged
    │   └── Cancelled                the user cancelled it
    ├── EngineError                  dockerd (raised in `engine`)
    │   ├── EngineUnreachable        the socket does not answer
    │   ├── EngineRefused            dockerd answered with an error
    │   │   ├── ObjectGone           there is no such container, image, volume or network
    │   │   └── ObjectConflict       it is in use, or in a state that does not allow it
    │   ├── EngineFailed             dockerd does not start; carries its last log lines
    │   └── NotShared                a bind mount of a path that the machine does not have
    ├── SettingsError                an unknown setting, or a value out of its range
    └── ControlError                 window or command line ↔ supervisor
        ├── SupervisorGone           the supervisor ended, or did not start
        └── VersionMismatch          the supervisor is of another version

An error's class determines how a caller can react; the code of its message (`vm/messages`)
identifies what happened. An error crosses the control socket as a `Problem` and becomes an
exception again on the other side (`to_problem`, `from_problem`). On the command line, only
`engine/cli/output.py` turns it into text for people.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from vm.messages import ENGLISH, HINT, Message, Text, as_value


class Retry(StrEnum):
    """Whether doing the same again can help."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Problem(msgspec.Struct, frozen=True):
    """An error as a value: what crosses sockets and what `status` lists.

    `kind`: the exception's class. `summary` and `hint`: in English, as the sender fills them in.
    `code` and `values`: of the catalogue's entry; empty for texts outside it, as the window's own.
    """

    kind: str
    summary: str
    hint: str = ""
    details: str = ""
    retry: Retry = Retry.UNKNOWN
    code: str = ""
    values: dict[str, str | int | float | Text] = {}

    def __hash__(self) -> int:
        return hash((self.kind, self.summary, self.hint, self.details))

    @property
    def text(self) -> Text:
        """Its summary, as a value of another message."""
        return Text(self.summary, self.code, self.values)

    @property
    def hint_text(self) -> Text:
        return Text(self.hint, self.code and self.code + HINT, self.values)


class GalleyError(Exception):
    """`summary`: a sentence a user can read. `hint`: what to do. Both are filled in from `values`,
    converted by `as_value`. `details`: last command or log."""

    retry_default = Retry.UNKNOWN

    def __init__(
        self,
        message: Message,
        /,
        *,
        details: str = "",
        retry: Retry | None = None,
        **values: object,
    ) -> None:
        self.values = {name: as_value(value) for name, value in values.items()}
        self.code = message.code
        self.summary = ENGLISH.fill(message.form(self.values), self.values)
        self.hint = ENGLISH.fill(message.hint, self.values)
        self.details = details
        self.retry = retry or self.retry_default
        super().__init__(self.summary)

    @property
    def text(self) -> Text:
        """Its summary, as a value of another message."""
        return Text(self.summary, self.code, self.values)

    @property
    def hint_text(self) -> Text:
        return Text(self.hint, self.code and self.code + HINT, self.values)

    def to_problem(self) -> Problem:
        kind = type(self).__name__
        return Problem(
            kind, self.summary, self.hint, self.details, self.retry, self.code, self.values
        )


class HostError(GalleyError):
    """Something on this computer is in the way."""


class VirtualizationOff(HostError):
    retry_default = Retry.NO


class ToolMissing(HostError):
    retry_default = Retry.NO


class ToolTooOld(HostError):
    retry_default = Retry.NO


class DiskFull(HostError):
    retry_default = Retry.NO


class PortInUse(HostError):
    retry_default = Retry.YES


class NotEnough(HostError):
    retry_default = Retry.NO


class KeyringUnusable(HostError):
    pass


class HomeUnusable(HostError):
    retry_default = Retry.NO


class MachineError(GalleyError):
    """The virtual machine."""


class NoMachine(MachineError):
    retry_default = Retry.NO


class MachineBusy(MachineError):
    retry_default = Retry.YES


class BootFailed(MachineError):
    retry_default = Retry.YES


class BootDied(BootFailed):
    pass


class GuestUnreachable(MachineError):
    retry_default = Retry.YES


class GuestChanged(MachineError):
    retry_default = Retry.NO


class GuestOutdated(MachineError):
    retry_default = Retry.NO


class ImageDamaged(MachineError):
    retry_default = Retry.NO


class DataDiskDamaged(MachineError):
    retry_default = Retry.NO


class SnapshotRefused(MachineError):
    retry_default = Retry.NO


class BackendFailed(MachineError):
    """QEMU, WSL or Hyper-V refused a command."""


class NotResumable(MachineError):
    retry_default = Retry.NO


class Cancelled(MachineError):
    retry_default = Retry.YES


class EngineError(GalleyError):
    """dockerd, as seen from the host. Defined here so that one table rebuilds all errors."""


class EngineUnreachable(EngineError):
    retry_default = Retry.YES


class EngineRefused(EngineError):
    retry_default = Retry.NO


class ObjectGone(EngineRefused):
    pass


class ObjectConflict(EngineRefused):
    pass


class EngineFailed(EngineError):
    retry_default = Retry.UNKNOWN


class NotShared(EngineError):
    retry_default = Retry.NO


class SettingsError(GalleyError):
    retry_default = Retry.NO


class ControlError(GalleyError):
    """Between a client and the supervisor."""


class SupervisorGone(ControlError):
    retry_default = Retry.YES


class VersionMismatch(ControlError):
    retry_default = Retry.NO


def _tree(root: type[GalleyError]) -> dict[str, type[GalleyError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_problem(problem: Problem) -> GalleyError:
    """The exception that `to_problem` was called on; an unknown kind becomes a `GalleyError`."""
    kind = _tree(GalleyError).get(problem.kind, GalleyError)
    message = Message(problem.code, problem.summary, problem.hint)
    error = kind(message, details=problem.details, retry=problem.retry)
    error.values = problem.values  # its sentences are filled in already
    return error


def problem_of(check: Callable[[], object]) -> Problem | None:
    """What `check` raises as a GalleyError, as a value; None when it returns."""
    try:
        check()
    except GalleyError as error:
        return error.to_problem()
    return None
