"""Many notifications from a thread become few calls, and the last one is not lost."""

import threading

from pytestqt.qtbot import QtBot

from desktop.session.tasks import Tasks
from desktop.session.throttle import Throttle


def test_many_notifications_become_few_calls_and_the_last_is_not_lost(qtbot: QtBot) -> None:
    tasks = Tasks()
    notified, taken = [0], list[int]()
    throttle = Throttle(tasks.invoker, lambda: taken.append(notified[0]), 20, tasks)

    def notify_often() -> None:
        for number in range(1, 10_001):
            notified[0] = number
            throttle.notify()

    thread = threading.Thread(target=notify_often)
    thread.start()
    qtbot.waitUntil(lambda: taken[-1:] == [10_000])
    thread.join()
    assert len(taken) < 1_000


def test_a_closed_throttle_makes_no_call(qtbot: QtBot) -> None:
    tasks = Tasks()
    taken: list[int] = []
    throttle = Throttle(tasks.invoker, lambda: taken.append(1), 0, tasks)
    throttle.notify()
    throttle.close()
    invoked: list[int] = []
    tasks.invoker.invoke(lambda: invoked.append(1))
    qtbot.waitUntil(lambda: invoked == [1])
    assert taken == []
