"""One Windows for the session, as after a new installation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.windows.lane import Windows, running_windows

PATIENCE = 300.0  # seconds; the first test builds the Windows


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("wine")
            item.add_marker(pytest.mark.timeout(PATIENCE))


@pytest.fixture(scope="session")
def windows() -> Iterator[Windows]:
    with running_windows() as made:
        yield made
