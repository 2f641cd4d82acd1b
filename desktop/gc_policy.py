"""Runs Python's cycle collector in the window's thread only.

By default it runs in whatever thread allocates, and would delete Qt objects of the window's thread
there, which crashes now and then. So it is off, and `collect_if_due` runs it, called whenever
something arrives in the window's thread.
"""

import gc

from PySide6.QtCore import QTimer

SOON_MS = 1000
YOUNG, MIDDLE, OLD = 4000, 20, 10  # how many objects, and collections of the younger, make it due


def take_over() -> None:
    gc.disable()
    gc.freeze()  # what start-up made stays for good, and need not be looked at again


def give_back() -> None:
    gc.unfreeze()
    gc.enable()


def collect_all() -> None:
    """Collect all generations, after something large has ended."""
    if not gc.isenabled():
        gc.collect()


def collect_soon() -> None:
    """After a view has been closed. It is a cycle of widgets and of the methods that their signals
    call, often of an old generation, and it may hold all the lines of a log."""
    QTimer.singleShot(SOON_MS, collect_all)


def collect_if_due() -> None:
    """The youngest generation mostly: all of them takes as long as a keystroke may."""
    young, middle, old = gc.get_count()
    if young > YOUNG and not gc.isenabled():
        gc.collect(2 if old > OLD else 1 if middle > MIDDLE else 0)
