"""The window of the soak test, with a simulated user who opens logs and terminals and switches
engines. Next: `soak.py`, which starts it.

    python -m tests.bench.soak_window SECONDS     between two steps
"""

import gc
import sys
from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from desktop.app import App

LOGS_BETWEEN = 8  # rounds of log and terminal between two switches of the engine
TYPED = b"seq 1 3000\r"


def main(words: list[str]) -> int:
    gc.disable()  # as `desktop/__main__.py` does
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from desktop.app import App, end_on_signals

    qt = QApplication(["galley"])
    app = App(qt)
    app.open()
    end_on_signals(qt)
    steps = use(app)
    timer = QTimer(interval=round(1000 * float(words[0])))
    timer.timeout.connect(lambda: next(steps))
    timer.start()
    code = qt.exec()
    app.close()
    return code


def use(app: "App") -> Iterator[None]:
    """The user's steps, one for each tick of the timer."""
    from engine.dockercli.contexts import contexts

    others = cycle([one for one in contexts(app.link.home) if one.name.startswith("soak")])
    while True:
        for _ in range(LOGS_BETWEEN):
            yield from open_logs_and_terminal(app)
        app.connection.use(next(others))
        yield


def open_logs_and_terminal(app: "App") -> Iterator[None]:
    from desktop.pages.containers.detail import ContainerDetailView
    from desktop.pages.containers.page import ContainersPage
    from desktop.pages.containers.terminal.tab import TerminalTab

    rows = app.app_context.stores.containers.rows.values()
    key = next((row.id for row in rows if row.name == "soak-logger"), "")
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    if not key:
        yield
        return
    app.window.go("containers", key, "logs")
    yield
    app.window.go("containers", key, "terminal")
    yield
    view = page.opened
    tab = view.opened.get("terminal") if isinstance(view, ContainerDetailView) else None
    if isinstance(tab, TerminalTab) and tab.session is not None:
        tab.session.write(TYPED)
    yield
    page.open("")
    yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
