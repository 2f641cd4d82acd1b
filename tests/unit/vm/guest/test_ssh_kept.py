"""The rules of the one connection, with connections that only pretend."""

import time

import pytest

from tests.background import Background
from vm.errors import GuestUnreachable
from vm.guest.ssh_kept import TRIES, Kept, Lost


class Fake:
    def __init__(self) -> None:
        self.alive = True
        self.heard = 0.0

    def close(self) -> None:
        self.alive = False


class Network:
    """Makes connections, and keeps them."""

    def __init__(self) -> None:
        self.made: list[Fake] = []
        self.refuse = False
        self.slow: Fake | None = None

    def connect(self, _limit: float) -> Fake:
        if self.refuse:
            raise ConnectionRefusedError("refused")
        if self.slow is not None:
            self.slow.heard = time.monotonic()
        self.made.append(Fake())
        return self.made[-1]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def kept(network: Network) -> Kept[Fake]:
    return Kept(network.connect)


def lose(_: Fake) -> None:
    raise Lost


def test_one_connection_for_all(network: Network, kept: Kept[Fake]) -> None:
    with Background() as pool:
        used = list(pool.map(lambda _: kept.use(lambda connection: connection), range(50)))
    assert set(used) == set(network.made)
    assert len(network.made) == 1


def test_a_dead_one_is_replaced(network: Network, kept: Kept[Fake]) -> None:
    kept.get(1, 0).alive = False
    assert kept.get(1, 0) is network.made[1]


def test_a_silent_one_is_replaced_by_one_that_answers(network: Network, kept: Kept[Fake]) -> None:
    silent = kept.get(1, 0)
    assert kept.get(1, 0, lost=silent) is network.made[1]
    assert not silent.alive


def test_a_silent_one_stays_when_nothing_else_answers(network: Network, kept: Kept[Fake]) -> None:
    silent = kept.get(1, 0)
    network.refuse = True
    with pytest.raises(GuestUnreachable):
        kept.get(1, 0, lost=silent)
    assert silent.alive


def test_a_slow_one_stays(network: Network, kept: Kept[Fake]) -> None:
    network.slow = kept.get(1, 0)
    assert kept.get(1, 0, lost=network.slow) is network.slow
    assert network.slow.alive
    assert not network.made[1].alive


def test_a_connection_heard_meanwhile_is_not_replaced(network: Network, kept: Kept[Fake]) -> None:
    slow = kept.get(1, 0)
    slow.heard = time.monotonic() + 60
    assert kept.get(1, 0, lost=slow) is slow
    assert len(network.made) == 1


def test_work_that_always_loses_ends(network: Network, kept: Kept[Fake]) -> None:
    with pytest.raises(GuestUnreachable, match="stopped answering"):
        kept.use(lose)
    assert len(network.made) == TRIES


def test_after_close_there_is_none(network: Network, kept: Kept[Fake]) -> None:
    kept.get(1, 0)
    kept.close()
    with pytest.raises(GuestUnreachable):
        kept.get(1, 0)
    assert not network.made[0].alive
