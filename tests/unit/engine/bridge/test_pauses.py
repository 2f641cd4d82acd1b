"""Pauses of a container in the event stream: a real dockerd reports one before it is true."""

from collections.abc import Iterator

import pytest

from engine.bridge.unix import connect
from engine.lifecycle.dockerd_watch import EngineWatch
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker, wait_until


@pytest.fixture
def looks(dockerd: Dockerd) -> Iterator[list[list[str]]]:
    """The states of the containers that run, at each look."""
    made: list[list[str]] = []
    watch = EngineWatch(lambda: connect(dockerd.socket))
    watch.begin(
        on_health=lambda health: None,
        on_containers=lambda containers: made.append([one.State for one in containers]),
    )
    wait_until(lambda: made == [[]])
    yield made
    watch.end()


def test_a_pause_is_seen_once_it_holds(dockerd: Dockerd, looks: list[list[str]]) -> None:
    def does(*words: str) -> None:
        assert docker(dockerd.socket, *words).returncode == 0

    does("run", "-d", "--name=still", "--network=none", IMAGE, "sleep", "1000")
    try:
        wait_until(lambda: looks[-1] == ["running"])
        for _ in range(3):
            does("pause", "still")
            wait_until(lambda: looks[-1] == ["paused"])
            does("unpause", "still")
            wait_until(lambda: looks[-1] == ["running"])
    finally:
        does("rm", "-f", "still")
    wait_until(lambda: looks[-1] == [])
