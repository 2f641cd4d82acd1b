"""Python's cycle collector, in the window's thread only. Imports nothing of ours.

Left alone it runs in whatever thread happens to allocate, and there it would delete Qt objects that
belong to the window's thread, which crashes now and then. So it is off, and `collect_if_due` does
its work, called whenever something arrives in the window's thread.
"""

import gc

DUE = 3000  # new objects since the last time; Python's own default is 2000


def take_over() -> None:
    gc.disable()
    gc.freeze()  # what start-up made stays for good, and need not be looked at again


def give_back() -> None:
    gc.unfreeze()
    gc.enable()


def collect_if_due() -> None:
    """The youngest generation, and older ones as often as Python would."""
    young, middle, old = gc.get_count()
    if young < DUE or gc.isenabled():
        return
    gc.collect(2 if old > 10 and middle > 10 else 1 if middle > 10 else 0)
