"""The cost of a paused engine, and how fast it answers the first request.

Next: `engine/lifecycle/resource_saver.py`, `vm/lifecycle/machine.py`.
"""

from collections.abc import Iterator
from statistics import median

from tests.bench.figures import Row, at_most, compared, row
from tests.bench.http_endpoints import ping_on_new_connection
from tests.bench.lab import Lab
from tests.bench.timing import sleep, wait_until
from tests.e2e.galley import Galley
from vm.host.process import cpu_seconds

AFTER = 1.0  # seconds; the minimum of the setting


def measure(lab: Lab) -> Iterator[Row]:
    galley, endpoint = lab.running(), lab.bridge()
    awake = [1e3 * ping_on_new_connection(endpoint) for _ in range(lab.times(30, 5))]
    galley.run("settings", "set", "save_after", f"{AFTER:.0f}s")
    try:
        woken = []
        for _ in range(lab.times(20, 3)):
            _wait_paused(galley)
            woken.append(1e3 * ping_on_new_connection(endpoint))
        _wait_paused(galley)
        minute = lab.times(60, 5)
        parts = (galley.vm_identity(), galley.supervisor_identity())
        before = sum(map(cpu_seconds, parts))
        sleep(minute)
        used = 100 * (sum(map(cpu_seconds, parts)) - before) / minute
        assert galley.status()["state"] == "paused", "a request has resumed it"
    finally:
        galley.run("settings", "set", "save_after", "never")
    yield compared("saver.wake_ping", "ms", (woken, awake))
    yield row("saver.wake", median(woken) - median(awake), "ms", n=len(woken), goal=at_most(100))
    yield row("saver.wake_longest", max(woken), "ms", n=len(woken), goal=at_most(100))
    yield row("saver.cpu", used, "%", n=1, goal=at_most(0.2))


def _wait_paused(galley: Galley) -> None:
    wait_until(lambda: galley.status()["state"] == "paused", "the machine is paused")
