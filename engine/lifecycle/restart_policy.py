"""Containers that run when the engine is stopped: ended in order, and started again afterwards.

A `galley stop` that suspends the machine leaves dockerd running, so nobody applies restart policies
at the next start but us. What is to start again is written down before anything is stopped, and
forgotten only when dockerd has started it or said no: a supervisor, a dockerd or a machine that
dies between, or a machine that starts from cold, loses none. Next: `engine/engine.py`.
"""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from engine.dockerapi.http import Dial, HttpError, get_json, post
from engine.messages.engine import (
    CONTAINERS_NOT_STARTED,
    CONTAINERS_NOT_STOPPED,
    CONTAINERS_OF_SWARM,
)
from vm.errors import EngineError, EngineRefused, EngineUnreachable, GalleyError, Problem
from vm.host.paths import write_atomic

log = logging.getLogger(__name__)

AT_ONCE = 8
GRACE = 10  # seconds that dockerd gives a container which asks for no other time
SPARE = 30.0  # seconds beyond a container's grace until we give up
START_LIMIT = 120.0
AWAY = 503  # what the bridge answers for a dockerd that it does not reach
SWARM = "com.docker.swarm.task.id"  # the label of a swarm's containers
LOST = (GalleyError, HttpError, OSError)


class _Policy(msgspec.Struct, frozen=True):
    Name: str = ""


class _HostConfig(msgspec.Struct, frozen=True):
    RestartPolicy: _Policy = _Policy()


class _State(msgspec.Struct, frozen=True):
    ExitCode: int = 0


class _Config(msgspec.Struct, frozen=True):
    StopTimeout: int | None = None


class _Container(msgspec.Struct, frozen=True):
    """Of GET /containers/ID/json."""

    Id: str
    Name: str
    Config: _Config
    HostConfig: _HostConfig
    State: _State


class _Listed(msgspec.Struct, frozen=True):
    """Of GET /containers/json."""

    Id: str
    Labels: dict[str, str] = {}


class RestartPolicy:
    """`kept` is the file for what is to start again."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept

    def stop_all(self, dial: Dial) -> None:
        """Stop every container with the grace that it has. Raises EngineError where that cannot
        be, and then some have been stopped."""
        try:
            listed = get_json(dial, "/containers/json", list[_Listed])
            if any(SWARM in one.Labels for one in listed):
                raise EngineRefused(CONTAINERS_OF_SWARM)
            running = [_look(dial, one.Id) for one in listed]
            self._write({one.Id: one.Name.lstrip("/") for one in running if _may_restart(one)})
            with ThreadPoolExecutor(AT_ONCE) as threads:
                list(threads.map(lambda one: _stop(dial, one), running))
            self._write({one.Id: one.Name.lstrip("/") for one in running if _restarts(dial, one)})
        except EngineError:
            raise
        except LOST as error:
            raise EngineUnreachable(CONTAINERS_NOT_STOPPED, details=str(error)) from error

    def start_again(self, dial: Dial) -> tuple[Problem, ...]:
        """Start what is written down, and forget it; a problem for each that does not start. Those
        that dockerd gave no answer for stay written down (`waiting`)."""
        names = self._read()
        if not names:
            return ()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            said = list(threads.map(lambda item: _start(dial, *item), names.items()))
        answers = dict(zip(names, said, strict=True))
        self._write({key: names[key] for key, (answered, _) in answers.items() if not answered})
        return tuple(problem for _, problem in said if problem)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The names of those that are still to start."""
        return tuple(self._read().values())

    def forget(self) -> None:
        self._kept.unlink(missing_ok=True)

    def _write(self, names: dict[str, str]) -> None:
        if names:
            write_atomic(self._kept, msgspec.json.encode(names))
        else:
            self.forget()

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._kept.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError):
            return {}


def _look(dial: Dial, container: str) -> _Container:
    return get_json(dial, f"/containers/{container}/json", _Container)


def _may_restart(one: _Container) -> bool:
    return one.HostConfig.RestartPolicy.Name not in ("", "no")


def _restarts(dial: Dial, one: _Container) -> bool:
    """As dockerd decides it when it starts: "on-failure" depends on how the container ended."""
    policy = one.HostConfig.RestartPolicy.Name
    if policy != "on-failure":
        return _may_restart(one)
    try:
        return _look(dial, one.Id).State.ExitCode != 0
    except HttpError as error:
        if error.status != 404:  # it was to be removed when it ended
            raise
        return False


def _stop(dial: Dial, one: _Container) -> None:
    grace = GRACE if one.Config.StopTimeout is None else one.Config.StopTimeout
    limit = SPARE + (grace if grace >= 0 else 3600)
    try:
        post(dial, f"/containers/{one.Id}/stop", limit)
    except HttpError as error:
        if error.status not in (304, 404):  # it has ended by itself
            raise


def _start(dial: Dial, container: str, name: str) -> tuple[bool, Problem | None]:
    """Whether dockerd had its say, and what is in the way."""
    began = time.monotonic()
    try:
        post(dial, f"/containers/{container}/start", START_LIMIT)
    except LOST as error:
        status = error.status if isinstance(error, HttpError) else 0
        if status in (304, 404):  # dockerd was faster, or it is gone
            return True, None
        log.warning("%s did not start again: %s", name, error)
        is_late = time.monotonic() - began >= START_LIMIT  # dockerd has it in hand
        if status in (0, AWAY) and not is_late:
            return False, None
        problem = EngineRefused(
            CONTAINERS_NOT_STARTED,
            name=name,
            details=str(error),
        ).to_problem()
        return True, problem
    return True, None
