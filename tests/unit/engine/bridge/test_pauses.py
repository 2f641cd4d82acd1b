"""Pause events: a real dockerd sends one before the container's state changes."""

from collections.abc import Iterator

import pytest

from engine.bridge.unix import connect
from engine.lifecycle.dockerd_watch import EngineWatch
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker, wait_until


@pytest.fixture
def reports(dockerd: Dockerd) -> Iterator[list[list[str]]]:
    """The states of the running containers in each report of the watch."""
    made: list[list[str]] = []
    watch = EngineWatch(lambda: connect(dockerd.socket))
    watch.begin(
        on_health=lambda health: None,
        on_containers=lambda containers: made.append([one.State for one in containers]),
    )
    wait_until(lambda: made == [[]])
    yield made
    watch.end()


def test_a_pause_is_reported_once_the_state_has_changed(
    dockerd: Dockerd, reports: list[list[str]]
) -> None:
    def run_docker(*words: str) -> None:
        assert docker(dockerd.socket, *words).returncode == 0

    run_docker("run", "-d", "--name=still", "--network=none", IMAGE, "sleep", "1000")
    try:
        wait_until(lambda: reports[-1] == ["running"])
        for _ in range(3):
            run_docker("pause", "still")
            wait_until(lambda: reports[-1] == ["paused"])
            run_docker("unpause", "still")
            wait_until(lambda: reports[-1] == ["running"])
    finally:
        run_docker("rm", "-f", "still")
    wait_until(lambda: reports[-1] == [])
