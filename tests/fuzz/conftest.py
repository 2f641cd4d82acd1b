"""The fixture `fuzz`: how long a target runs, and from which seed. Next: `harness.py`."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from tests.fuzz.harness import Fuzz

OVER = 600.0  # seconds beyond the budget, for shrinking a failing input


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seconds: float = config.getoption("fuzz_seconds")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(seconds + OVER))


@pytest.fixture(scope="session", autouse=True)
def hypothesis_outside_the_checkout() -> Iterator[None]:
    """Keeps hypothesis's files out of the checkout."""
    with tempfile.TemporaryDirectory(prefix="galley-") as folder:
        set_hypothesis_home_dir(folder)
        yield


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Iterator[Fuzz]:
    seed: int = request.config.getoption("fuzz_seed")
    made = Fuzz(request.config.getoption("fuzz_seconds"), seed)
    logging.disable()  # pytest would keep all records in memory
    yield made
    logging.disable(logging.NOTSET)
    print(f"{made.count} inputs, from --fuzz-seed={seed}")  # noqa: T201  # shown with a failure
