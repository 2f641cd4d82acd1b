"""A control server with a scripted engine for each test."""

from collections.abc import Iterator

import pytest

from engine.control.client import ControlClient
from engine.control.server import ControlServer
from engine.settings.setting import HostSize
from engine.settings.store import SettingsStore
from tests.unit.engine.control.scripted import ScriptedEngine
from vm.host.paths import Home, find_home, make_home


@pytest.fixture
def home() -> Home:
    return make_home(find_home())


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def unopened(home: Home, engine: ScriptedEngine) -> ControlServer:
    settings = SettingsStore(home, HostSize(4, 16 * 2**30))
    return ControlServer(home, engine, settings, end=lambda: None)


@pytest.fixture
def server(unopened: ControlServer, engine: ScriptedEngine) -> Iterator[ControlServer]:
    unopened.open()
    yield unopened
    engine.go.set()
    unopened.close()


@pytest.fixture
def client(home: Home, server: ControlServer) -> Iterator[ControlClient]:
    with ControlClient.connect(home) as client:
        yield client
