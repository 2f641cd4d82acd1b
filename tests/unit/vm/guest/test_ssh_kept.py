"""How the one SSH connection is shared and replaced, with fake connections."""

import time

import pytest

from tests.background import Background
from vm.errors import GuestUnreachable
from vm.guest.ssh_kept import TRIES, Kept, Lost


class FakeConnection:
    def __init__(self) -> None:
        self.alive = True
        self.heard = 0.0

    def close(self) -> None:
        self.alive = False


class Network:
    """Makes connections, and keeps them."""

    def __init__(self) -> None:
        self.made: list[FakeConnection] = []
        self.refuse = False
        self.slow: FakeConnection | None = None

    def connect(self, _limit: float) -> FakeConnection:
        if self.refuse:
            raise ConnectionRefusedError("refused")
        if self.slow is not None:
            self.slow.heard = time.monotonic()
        self.made.append(FakeConnection())
        return self.made[-1]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def kept(network: Network) -> Kept[FakeConnection]:
    return Kept(network.connect)


def lose(_: FakeConnection) -> None:
    raise Lost


def test_all_threads_share_one_connection(network: Network, kept: Kept[FakeConnection]) -> None:
    with Background() as pool:
        used = list(pool.map(lambda _: kept.use(lambda connection: connection), range(50)))
    assert set(used) == set(network.made)
    assert len(network.made) == 1


def test_a_dead_connection_is_replaced(network: Network, kept: Kept[FakeConnection]) -> None:
    kept.get(1, 0).alive = False
    assert kept.get(1, 0) is network.made[1]


def test_a_silent_connection_is_replaced_if_a_new_one_answers(
    network: Network, kept: Kept[FakeConnection]
) -> None:
    silent = kept.get(1, 0)
    assert kept.get(1, 0, lost=silent) is network.made[1]
    assert not silent.alive


def test_a_silent_connection_is_kept_if_a_new_one_fails(
    network: Network, kept: Kept[FakeConnection]
) -> None:
    silent = kept.get(1, 0)
    network.refuse = True
    with pytest.raises(GuestUnreachable):
        kept.get(1, 0, lost=silent)
    assert silent.alive


def test_a_slow_connection_is_kept(network: Network, kept: Kept[FakeConnection]) -> None:
    network.slow = kept.get(1, 0)
    assert kept.get(1, 0, lost=network.slow) is network.slow
    assert network.slow.alive
    assert not network.made[1].alive


def test_a_connection_that_has_received_data_is_not_replaced(
    network: Network, kept: Kept[FakeConnection]
) -> None:
    slow = kept.get(1, 0)
    slow.heard = time.monotonic() + 60
    assert kept.get(1, 0, lost=slow) is slow
    assert len(network.made) == 1


def test_use_fails_after_the_last_try(network: Network, kept: Kept[FakeConnection]) -> None:
    with pytest.raises(GuestUnreachable, match="stopped answering"):
        kept.use(lose)
    assert len(network.made) == TRIES


def test_after_close_no_connection_is_made(network: Network, kept: Kept[FakeConnection]) -> None:
    kept.get(1, 0)
    kept.close()
    with pytest.raises(GuestUnreachable):
        kept.get(1, 0)
    assert not network.made[0].alive
