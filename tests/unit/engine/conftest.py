"""Fixtures that start supervisors with a scripted engine, and kill them after the test."""

from collections.abc import Iterator

import pytest

from engine.control import spawn
from engine.control.client import ControlClient
from vm.errors import ControlError
from vm.host import process
from vm.host.paths import Home, find_home, make_home


@pytest.fixture
def home() -> Home:
    return make_home(find_home())


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, home: Home) -> Iterator[Home]:
    """A home in which `launch` starts scripted supervisors. All of them are killed afterwards."""
    started: list[process.Identity] = []
    start_process = spawn._start_process

    def record(where: Home) -> process.Identity:
        started.append(start_process(where))
        return started[-1]

    monkeypatch.setattr(spawn, "MODULE", "tests.unit.engine.scripted_supervisor")
    monkeypatch.setattr(spawn, "_start_process", record)
    yield home
    for identity in filter(None, [*started, running(home)]):
        process.end(identity, force=True)
        assert process.wait_gone(identity, 10)


def running(home: Home) -> process.Identity | None:
    """The supervisor of this home, if it is running."""
    try:
        with ControlClient.connect(home, any_version=True) as client:
            return process.identify(client.hello.pid)
    except ControlError:
        pid_file = home.run / "supervisor.pid"
        return process.identify(int(pid_file.read_text())) if pid_file.exists() else None
