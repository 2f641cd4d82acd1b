"""A window that measures itself, as a separate process. Next: `window.py`, which starts it.

    python -m tests.bench.window_probe bare                 an empty Qt window, painted
    python -m tests.bench.window_probe rows SOCKET          Galley's window, its rows painted
    python -m tests.bench.window_probe stay SOCKET SECONDS  memory and CPU while nothing changes
    python -m tests.bench.window_probe lists SOCKET         time in the window's thread
    python -m tests.bench.window_probe flood SOCKET NAME    a log that grows all the time

Prints one JSON object. `STARTED` in the environment is the time (seconds since the epoch) at which
`window.py` started the process.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from desktop.app import App
    from desktop.stores.store import Store
    from engine.docker.types import Container

PATIENCE = 60.0
FLOOD_SECONDS = 12.0


def main(words: list[str]) -> int:
    match words:
        case ["bare"]:
            figures = bare()
        case ["rows", socket]:
            figures = rows(socket)
        case ["stay", socket, seconds]:
            figures = stay(socket, float(seconds))
        case ["lists", socket]:
            figures = lists(socket)
        case ["flood", socket, name]:
            figures = flood(socket, name)
        case _:
            return 2
    print(json.dumps(figures), flush=True)
    os._exit(0)


def since_start() -> float:
    return time.time() - float(os.environ["STARTED"])


def bare() -> dict[str, float]:
    from PySide6.QtWidgets import QApplication, QTreeView

    app = QApplication([])
    view = QTreeView()
    view.resize(1280, 800)
    view.show()
    app.processEvents()
    return {"seconds": since_start()}


def rows(socket: str) -> dict[str, float]:
    app = open_window(socket)
    count = len(app.app_context.stores.containers.rows)
    return {"seconds": since_start(), "rows": count}


def stay(socket: str, seconds: float) -> dict[str, float]:
    app = open_window(socket)
    run_event_loop(app, 15.0)  # the first readings, and late work of the start-up
    process = psutil.Process()
    before = sum(process.cpu_times()[:2])
    run_event_loop(app, seconds)
    used = sum(process.cpu_times()[:2]) - before
    memory = process.memory_info().rss / 1024**2
    return {"share": used / seconds, "mib": memory, "threads": process.num_threads()}


def lists(socket: str) -> dict[str, float]:
    """With a thousand containers: the list, a change of one row, the keystrokes of a filter."""
    from desktop.pages.containers.page import ContainersPage

    app = open_window(socket)
    run_event_loop(app, 3.0)
    store = app.app_context.stores.containers
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    store.forget()
    first = busy(app, store.load, lambda: bool(store.rows))
    run_event_loop(app, 1.0)
    client = app.connection.client.containers
    changes = []
    for number in range(7):
        key, name = list(store.rows)[len(store.rows) // 2], f"renamed-{number}"
        rename = partial(app.app_context.tasks.quietly, partial(client.rename, key, name), str)
        changes.append(busy(app, rename, partial(is_called, store, key, name)))
        run_event_loop(app, 0.3)
    keys = []
    for text in ("m", "ma", "man", "many-5", "many-55", "many-5", "m", ""):
        keys.append(busy(app, partial(page.filter.setText, text), lambda: True))
        run_event_loop(app, 0.2)
    return {"first": first, "change": middle(changes), "key": middle(keys), "worst_key": max(keys)}


def flood(socket: str, name: str) -> dict[str, float]:
    """The longest time that the event loop was blocked, and lines per second."""
    from PySide6.QtCore import Qt, QTimer

    from desktop.pages.containers.detail import ContainerDetailView
    from desktop.pages.containers.logs.tab import LogsTab
    from desktop.pages.containers.page import ContainersPage

    app = open_window(socket)
    rows = app.app_context.stores.containers.rows.values()
    app.window.go("containers", next(row.id for row in rows if row.name == name), "logs")
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    assert isinstance(page.opened, ContainerDetailView)
    tab = page.opened.opened["logs"]
    assert isinstance(tab, LogsTab)
    lines = tab.view.rows
    run_event_loop(app, 3.0)
    gaps: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(now - last)
        last = now

    timer = QTimer(interval=2, timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    began, end = time.perf_counter(), lines.end
    timer.start()
    run_event_loop(app, FLOOD_SECONDS)
    passed = time.perf_counter() - began
    memory = psutil.Process().memory_info().rss / 1024**2
    gaps.sort()
    return {
        "gap": 1000 * gaps[-1],
        "usual": 1000 * gaps[int(0.99 * len(gaps))],
        "rate": (lines.end - end) / passed,
        "mib": memory,
    }


def is_called(store: "Store[Container]", key: str, name: str) -> bool:
    return store.rows[key].name == name


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def open_window(socket: str) -> "App":
    """Opens the window on this engine and paints its rows."""
    import gc

    gc.disable()  # as `desktop/__main__.py` does
    from PySide6.QtWidgets import QApplication

    from desktop.app import App
    from engine.dockercli.contexts import DockerContext
    from engine.dockercli.endpoint import Endpoint

    context = DockerContext("bench", "", Endpoint("bench", f"unix://{socket}"))
    app = App(QApplication(["galley"]), context)
    app.window.show()
    wait(app, lambda: app.app_context.stores.containers.is_loaded)
    app.qt.processEvents()  # paints them
    return app


def wait(app: "App", holds: Callable[[], bool]) -> None:
    from PySide6.QtCore import QEventLoop, QTimer

    until = time.monotonic() + PATIENCE
    tick = QTimer(interval=5)
    tick.timeout.connect(lambda: None)
    tick.start()
    while not holds():
        assert time.monotonic() < until, "the condition did not become true"
        app.qt.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    tick.stop()


def run_event_loop(app: "App", seconds: float) -> None:
    """Runs the event loop for some seconds, without input."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def busy(app: "App", begin: Callable[[], object], holds: Callable[[], bool]) -> float:
    """Milliseconds of CPU in the window's thread until the condition is true and painted."""
    before = time.thread_time()
    begin()
    wait(app, holds)
    app.qt.processEvents()
    return 1000 * (time.thread_time() - before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
