"""Which containers are stopped and started again, and what is reported; dockerd is scripted."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine.lifecycle.restart_policy import RestartPolicy
from vm.errors import EngineError, EngineRefused
from vm.guest.protocol import Stream


class Dockerd:
    """Responds as scripted, and records the paths of POST requests."""

    def __init__(self) -> None:
        self.policies: dict[str, str] = {}
        self.exit_codes: dict[str, int] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.refuses: dict[str, int] = {}  # the status of the response, by path
        self.posted: list[str] = []
        self.dies_at: set[str] = set()  # paths at which it dies without a response
        self.is_dead = False

    def dial(self) -> Stream:
        if self.is_dead:
            raise ConnectionRefusedError
        return _Connection(self)

    def answer(self, method: str, path: str) -> tuple[int, object]:
        if method == "POST":
            self.posted.append(path)
        if path in self.refuses:
            return self.refuses[path], {"message": "no"}
        if path in self.dies_at:
            self.is_dead = True
        if path == "/containers/json":
            labels = self.labels
            return 200, [{"Id": one, "Labels": labels.get(one, {})} for one in self.policies]
        if method == "POST":
            return 204, None
        name = path.split("/")[2]
        return 200, {
            "Id": name,
            "Name": f"/{name}",
            "Config": {},
            "HostConfig": {"RestartPolicy": {"Name": self.policies[name]}},
            "State": {"ExitCode": self.exit_codes.get(name, 0)},
        }


class _Connection:
    def __init__(self, dockerd: Dockerd) -> None:
        self._dockerd = dockerd
        self._data = b""

    def sendall(self, data: bytes) -> None:
        method, path, _ = data.decode().split(" ", 2)
        status, content = self._dockerd.answer(method, path)
        if self._dockerd.is_dead:
            return
        body = b"" if content is None else msgspec.json.encode(content)
        self._data = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)

    def recv(self, limit: int) -> bytes:
        data, self._data = self._data[:limit], self._data[limit:]
        return data

    def shutdown_write(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def dockerd() -> Dockerd:
    return Dockerd()


@pytest.fixture
def restarts(tmp_path: Path) -> Callable[[], RestartPolicy]:
    """Makes the restart policy of a new supervisor."""
    return lambda: RestartPolicy(tmp_path / "to-start.json")


def test_restart_policies_apply_as_in_dockerd(
    dockerd: Dockerd, restarts: Callable[[], RestartPolicy]
) -> None:
    dockerd.policies = {
        "none": "",
        "no": "no",
        "always": "always",
        "unless": "unless-stopped",
        "failed": "on-failure",
        "fine": "on-failure",
    }
    dockerd.exit_codes = {"failed": 137}
    restarts().stop_all(dockerd.dial)
    stopped = {path.split("/")[2] for path in dockerd.posted}
    assert stopped == set(dockerd.policies)
    dockerd.posted.clear()
    assert restarts().start_again(dockerd.dial) == ()
    assert {path.split("/")[2] for path in dockerd.posted} == {"always", "unless", "failed"}
    dockerd.posted.clear()
    restarts().start_again(dockerd.dial)
    assert dockerd.posted == [], "containers are started only once"


def test_a_container_already_stopped_or_started_is_no_error(
    dockerd: Dockerd, restarts: Callable[[], RestartPolicy]
) -> None:
    dockerd.policies = {"one": "always", "two": "always"}
    dockerd.refuses = {"/containers/one/stop": 304, "/containers/two/start": 304}
    restarts().stop_all(dockerd.dial)
    assert restarts().start_again(dockerd.dial) == ()


def test_a_failed_stop_is_an_error_and_no_container_is_forgotten(
    dockerd: Dockerd, restarts: Callable[[], RestartPolicy]
) -> None:
    dockerd.policies = {"one": "always", "two": "always"}
    dockerd.refuses = {"/containers/one/stop": 500}
    with pytest.raises(EngineError):
        restarts().stop_all(dockerd.dial)
    dockerd.posted.clear()
    restarts().start_again(dockerd.dial)
    assert {path.split("/")[2] for path in dockerd.posted} == {"one", "two"}


def test_a_container_that_does_not_start_again_is_a_problem_with_its_name(
    dockerd: Dockerd, restarts: Callable[[], RestartPolicy]
) -> None:
    dockerd.policies = {"one": "always", "two": "always"}
    dockerd.refuses = {"/containers/one/start": 500}
    restarts().stop_all(dockerd.dial)
    (problem,) = restarts().start_again(dockerd.dial)
    assert "one" in problem.summary
    assert "docker start one" in problem.hint
    assert "/containers/two/start" in dockerd.posted


@pytest.mark.parametrize("how", ["dies", "is away"])
def test_containers_without_a_response_are_started_the_next_time(
    dockerd: Dockerd,
    restarts: Callable[[], RestartPolicy],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """dockerd died, or the machine did and the bridge responds in its place. dockerd itself starts
    none of the containers, because they were stopped through its API."""
    monkeypatch.setattr("engine.lifecycle.restart_policy.AT_ONCE", 1)
    names = [f"c{number}" for number in range(20)]
    dockerd.policies = dict.fromkeys(["refused", "gone", *names], "unless-stopped")
    dockerd.refuses = {"/containers/refused/start": 500, "/containers/gone/start": 404}
    restarts().stop_all(dockerd.dial)
    dockerd.posted.clear()
    if how == "dies":
        dockerd.dies_at = {f"/containers/{name}/start" for name in names[10:]}
    else:
        dockerd.refuses |= {f"/containers/{name}/start": 503 for name in names[10:]}
    (problem,) = restarts().start_again(dockerd.dial)
    assert "refused" in problem.summary
    assert restarts().waiting == tuple(names[10:])
    dockerd.posted.clear()
    dockerd.dies_at, dockerd.is_dead, dockerd.refuses = set(), False, {}
    assert restarts().start_again(dockerd.dial) == ()
    assert {path.split("/")[2] for path in dockerd.posted} == set(names[10:])
    assert restarts().waiting == ()


def test_a_start_that_takes_too_long_is_reported_and_left_to_dockerd(
    dockerd: Dockerd, restarts: Callable[[], RestartPolicy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.lifecycle.restart_policy.START_LIMIT", 0.0)
    dockerd.policies = {"slow": "always"}
    restarts().stop_all(dockerd.dial)
    dockerd.dies_at = {"/containers/slow/start"}
    (problem,) = restarts().start_again(dockerd.dial)
    assert "slow" in problem.summary
    assert restarts().waiting == ()


def test_an_engine_lost_during_the_stop_forgets_no_container(
    dockerd: Dockerd, restarts: Callable[[], RestartPolicy]
) -> None:
    """Not even a container whose policy depends on its exit code."""
    dockerd.policies = {"one": "on-failure", "two": "always"}
    dockerd.exit_codes = {"one": 1}
    answer, inspections = dockerd.answer, list[str]()

    def away_at_the_second_inspection(method: str, path: str) -> tuple[int, object]:
        if path == "/containers/one/json":
            inspections.append(path)
        return (503, {}) if len(inspections) > 1 else answer(method, path)

    dockerd.answer = away_at_the_second_inspection  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        restarts().stop_all(dockerd.dial)
    assert set(restarts().waiting) == {"one", "two"}


def test_tasks_of_a_swarm_are_not_stopped(
    dockerd: Dockerd, restarts: Callable[[], RestartPolicy]
) -> None:
    dockerd.policies = {"task": "no"}
    dockerd.labels = {"task": {"com.docker.swarm.task.id": "x"}}
    with pytest.raises(EngineRefused):
        restarts().stop_all(dockerd.dial)
    assert dockerd.posted == []


def test_a_malformed_file_starts_nothing(
    dockerd: Dockerd, tmp_path: Path, restarts: Callable[[], RestartPolicy]
) -> None:
    (tmp_path / "to-start.json").write_text("{")
    assert restarts().start_again(dockerd.dial) == ()
    assert dockerd.posted == []
