"""The methods of the control socket.

The client gets a reply in any case: this is one of the few places with a broad `except`.
"""

import logging
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import msgspec

from engine.control.protocol import (
    METHODS,
    CreateSnapshotParams,
    DaemonParams,
    Reply,
    Request,
    RestoreSnapshotParams,
    SetParams,
    SnapshotParams,
    StartParams,
    StopParams,
    UnsetParams,
    encode,
)
from engine.json_input import UNREADABLE
from engine.lifecycle.start_trace import traced
from engine.messages.engine import (
    CONTROL_MISTAKE,
    CONTROL_NO_PATH,
    CONTROL_UNKNOWN_METHOD,
    CONTROL_WRONG_PARAMETERS,
)
from engine.settings.store import SettingsStore
from engine.types import EngineStatus, MachineUse, Reclaimed
from vm.directory import MachineDir
from vm.errors import ControlError, GalleyError, Problem, Retry
from vm.host.paths import Home

log = logging.getLogger(__name__)


class Given(Protocol):
    """The interface of `engine.monitors.resources.Resources`."""

    def use(self) -> MachineUse: ...
    def reclaim_disk(self) -> Reclaimed: ...


class Controlled(Protocol):
    """The interface of `engine.engine.Engine` for the control socket. The verbs block until
    done."""

    @property
    def snapshots(self) -> "SnapshotVerbs": ...
    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]: ...
    def status(self) -> EngineStatus: ...
    def start(self, *, repair: bool = False) -> None: ...
    def stop(self, *, cold: bool = False) -> None: ...
    def suspend(self) -> None: ...
    def restart(self) -> None: ...
    def delete(self) -> None: ...
    def cancel(self) -> None: ...
    def keep_awake(self) -> Callable[[], None]: ...
    def reset(self) -> None: ...

    @property
    def configuring(self) -> "DaemonConfigVerbs": ...

    @property
    def resources(self) -> Given: ...
    @property
    def image_updates(self) -> "Refreshed": ...


class Refreshed(Protocol):
    """What it needs of `engine.lifecycle.image_updates.ImageUpdates`."""

    def refresh(self) -> None: ...


class DaemonConfigVerbs(Protocol):
    """What it needs of `engine.lifecycle.configuring.ConfigureSequence`."""

    def daemon_config(self) -> str: ...
    def change_daemon_config(self, text: str) -> None: ...


class SnapshotVerbs(Protocol):
    """`engine.lifecycle.snapshots.Snapshots`. Each blocks until it is done."""

    def create(self, name: str, *, memory: bool = False) -> None: ...
    def restore(self, name: str, *, cold: bool = False) -> None: ...
    def delete(self, name: str) -> None: ...


class Dispatch:
    """Turns requests into replies; any number of threads at a time."""

    def __init__(
        self, home: Home, engine: Controlled, settings: SettingsStore, end: Callable[[], None]
    ) -> None:
        self._console_log = MachineDir.of(home).console_log
        self._engine = engine
        self._settings = settings
        self._end = end
        self._plain: dict[str, Callable[[], object]] = {
            "status": engine.status,
            "suspend": engine.suspend,
            "restart": engine.restart,
            "delete": engine.delete,
            "cancel": engine.cancel,
            "daemon.get": engine.configuring.daemon_config,
            "reset": engine.reset,
            "use": engine.resources.use,
            "disk.reclaim": engine.resources.reclaim_disk,
            "image.refresh": engine.image_updates.refresh,
            "quit": lambda: None,
        }

    def answer(self, request: Request, at_end: Callable[[Callable[[], None]], None]) -> Reply:
        """Carry out the request. Never raises. `at_end` gets a function to call when the client has
        gone."""
        try:
            if request.method == "keep_awake":
                _params(request)
                at_end(self._engine.keep_awake())
                return Reply(request.id)
            return Reply(request.id, msgspec.Raw(encode(self._do(request))))
        except GalleyError as error:
            return Reply(request.id, problem=error.to_problem())
        except Exception as error:
            log.exception("%s failed unexpectedly", request.method)
            return Reply(request.id, problem=_unexpected(request.method, error))

    def follow(self, request: Request, reply: Reply) -> None:
        """Work that may begin only after the reply was sent: the end of the supervisor."""
        if request.method == "quit" and reply.problem is None:
            self._end()

    def _do(self, request: Request) -> object:
        match _params(request):
            case StartParams(repair=repair, trace=trace):
                file = _file(trace) if trace else None
                with traced(self._engine, self._console_log, file) if file else nullcontext():
                    self._engine.start(repair=repair)
                return None
            case StopParams(cold=cold):
                self._engine.stop(cold=cold)
                return None
            case CreateSnapshotParams(name=name, memory=memory):
                self._engine.snapshots.create(name, memory=memory)
                return None
            case RestoreSnapshotParams(name=name, cold=cold):
                self._engine.snapshots.restore(name, cold=cold)
                return None
            case SnapshotParams(name=name):
                self._engine.snapshots.delete(name)
                return None
            case SetParams(name=name, value=value):
                return self._settings.set(name, value)
            case UnsetParams(name=name):
                return self._settings.unset(name)
            case DaemonParams(text=text):
                self._engine.configuring.change_daemon_config(text)
                return None
        return self._plain[request.method]()


def _params(request: Request) -> msgspec.Struct:
    """The typed parameters. Raises ControlError for an unknown method or wrong parameters."""
    kind = METHODS.get(request.method)
    if kind is None:
        raise ControlError(
            CONTROL_UNKNOWN_METHOD,
            method=request.method,
            details="it knows: " + ", ".join(METHODS),
            retry=Retry.NO,
        )
    try:
        return msgspec.json.decode(request.params, type=kind)
    except UNREADABLE as error:
        raise ControlError(
            CONTROL_WRONG_PARAMETERS, method=request.method, error=error, retry=Retry.NO
        ) from error


def _file(path: str) -> Path:
    """Raises ControlError if `path` cannot be a file."""
    file = Path(path)
    if "\0" in path or not (file.is_absolute() and file.name):
        raise ControlError(CONTROL_NO_PATH, path=path, retry=Retry.NO)
    return file


def _unexpected(method: str, error: Exception) -> Problem:
    return GalleyError(
        CONTROL_MISTAKE,
        method=method,
        error=f"{type(error).__name__}: {error}",
        details="".join(traceback.format_exception(error)),
    ).to_problem()
