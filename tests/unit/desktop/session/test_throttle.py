"""News from a thread: many rings are few turns, and none is lost."""

import threading

from pytestqt.qtbot import QtBot

from desktop.session.tasks import Tasks
from desktop.session.throttle import Pace


def test_many_rings_are_few_turns_and_the_last_is_seen(qtbot: QtBot) -> None:
    tasks = Tasks()
    rung, taken = [0], list[int]()
    pace = Pace(tasks.bell, lambda: taken.append(rung[0]), 20, tasks)

    def ring() -> None:
        for number in range(1, 10_001):
            rung[0] = number
            pace.ring()

    thread = threading.Thread(target=ring)
    thread.start()
    qtbot.waitUntil(lambda: taken[-1:] == [10_000])
    thread.join()
    assert len(taken) < 1_000


def test_a_closed_one_takes_nothing(qtbot: QtBot) -> None:
    tasks = Tasks()
    taken: list[int] = []
    pace = Pace(tasks.bell, lambda: taken.append(1), 0, tasks)
    pace.ring()
    pace.close()
    said: list[int] = []
    tasks.bell.ring(lambda: said.append(1))
    qtbot.waitUntil(lambda: said == [1])
    assert taken == []
