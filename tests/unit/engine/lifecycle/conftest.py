"""Fixtures for the resource saver's tests: a scene, its machine and its saver."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.lifecycle.resource_saver import ResourceSaver
from tests.unit.engine.lifecycle.saver_scene import Machine, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "put-away")
    yield made
    made.saver.close()


@pytest.fixture
def machine(scene: Scene) -> Machine:
    return scene.machine


@pytest.fixture
def saver(scene: Scene) -> ResourceSaver:
    return scene.saver
