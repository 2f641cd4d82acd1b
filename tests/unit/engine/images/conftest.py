"""Keys for Debian repositories: each takes a moment to make."""

from collections.abc import Iterator

import pytest

from tests.debian_repository import Key, signing_key


@pytest.fixture(scope="session")
def key() -> Iterator[Key]:
    with signing_key() as made:
        yield made


@pytest.fixture(scope="session")
def other_key() -> Iterator[Key]:
    with signing_key() as made:
        yield made
