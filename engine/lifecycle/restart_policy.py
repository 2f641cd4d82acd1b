"""Stops the running containers with the engine, and starts them again afterwards.

A `galley stop` that suspends the machine leaves dockerd running, so dockerd does not apply restart
policies at the next start, and Galley does. The containers to start again are saved before any is
stopped, and each is removed from the file only when dockerd has started it or refused to: none is
lost if the supervisor, dockerd or the machine dies meanwhile, or the next start is cold. Next:
`engine/engine.py`.
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
GRACE = 10  # seconds that dockerd gives a container without a stop timeout of its own
SPARE = 30.0  # seconds beyond a container's grace until we give up
START_LIMIT = 120.0
AWAY = 503  # the bridge's status for a dockerd that it cannot reach
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
    """`kept` is the file with the containers to start again."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept

    def stop_all(self, dial: Dial) -> None:
        """Stop every container, with its own stop timeout. Raises EngineError if that fails; some
        may be stopped then."""
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
        """Start the saved containers; a problem for each that does not start. Those for which
        dockerd gave no answer stay saved (`waiting`)."""
        names = self._read()
        if not names:
            return ()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            results = list(threads.map(lambda item: _start(dial, *item), names.items()))
        answers = dict(zip(names, results, strict=True))
        self._write({key: names[key] for key, (answered, _) in answers.items() if not answered})
        return tuple(problem for _, problem in results if problem)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The names of the containers that are still to start."""
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
    """Whether dockerd would restart it at its own start: "on-failure" depends on the exit code."""
    policy = one.HostConfig.RestartPolicy.Name
    if policy != "on-failure":
        return _may_restart(one)
    try:
        return _look(dial, one.Id).State.ExitCode != 0
    except HttpError as error:
        if error.status != 404:  # a `--rm` container, removed by now
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
    """Whether dockerd has answered, and the problem if it refused."""
    began = time.monotonic()
    try:
        post(dial, f"/containers/{container}/start", START_LIMIT)
    except LOST as error:
        status = error.status if isinstance(error, HttpError) else 0
        if status in (304, 404):  # it runs already, or no longer exists
            return True, None
        log.warning("%s did not start again: %s", name, error)
        is_late = time.monotonic() - began >= START_LIMIT  # dockerd is still starting it
        if status in (0, AWAY) and not is_late:
            return False, None
        problem = EngineRefused(
            CONTAINERS_NOT_STARTED,
            name=name,
            details=str(error),
        ).to_problem()
        return True, problem
    return True, None
