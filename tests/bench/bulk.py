"""`docker save` and `docker load` of a quarter of a GiB, and the supervisor's CPU time for them.

The image is loaded over itself: its layer exists already, so that the transfer is measured and not
the guest's disk. Next: `vm/guest/ssh_wire.py`, `vm/guest/ssh.py` (window, packet, cipher).
"""

import os
from collections.abc import Callable, Iterator
from io import BytesIO
from statistics import median
from tarfile import TarFile, TarInfo

import msgspec

from tests.bench.figures import Goal, Row, at_least, at_most, compared, row
from tests.bench.http_endpoints import HttpEndpoint, ask, drain
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of
from vm.host import process

BIG = "galley-bulk"
SAVE, LOAD = f"/images/{BIG}/get", "/images/load?quiet=1"
MIB, GIB = 1 << 20, 1 << 30


class Load(msgspec.Struct, frozen=True):
    """One transfer."""

    speed: float  # MiB/s
    cost: float  # the supervisor's CPU seconds for a GiB


def measure(lab: Lab) -> Iterator[Row]:
    raw, bridge = lab.raw(), lab.bridge()
    lab.galley.docker("import", "-", BIG, stdin=noise(lab.times(256, 32) * MIB))
    packed = ask(raw, "GET", SAVE)
    size = len(packed)

    def save(endpoint: HttpEndpoint) -> Load:
        return _timed(lab, size, lambda: _check_size(size, drain(endpoint, SAVE)))

    def load(endpoint: HttpEndpoint) -> Load:
        return _timed(lab, size, lambda: ask(endpoint, "POST", LOAD, packed))

    rounds = lab.times(2, 1)
    down = alternate(rounds, lambda: save(bridge), lambda: save(raw))
    yield from _rows("bulk.down", down, at_most(5))
    up = alternate(rounds, lambda: load(bridge), lambda: load(raw))
    yield from _rows("bulk.up", up, at_most(3))
    lab.galley.docker("rmi", BIG)


def _rows(name: str, taken: tuple[list[Load], list[Load]], cost: Goal) -> Iterator[Row]:
    ours, raw = taken
    speeds = [one.speed for one in ours], [one.speed for one in raw]
    yield compared(name, "MiB/s", speeds, at_least(0.4))
    yield row(f"{name}_cpu", median(one.cost for one in ours), "s/GiB", n=len(ours), goal=cost)


def _timed(lab: Lab, size: int, work: Callable[[], object]) -> Load:
    supervisor = lab.galley.supervisor_identity()
    before = process.cpu_seconds(supervisor)
    seconds = seconds_of(work)
    cost = process.cpu_seconds(supervisor) - before
    return Load(size / MIB / seconds, cost * GIB / size)


def _check_size(size: int, received: int) -> None:
    assert received == size, f"{received} of {size} bytes were received"


def noise(size: int) -> bytes:
    """A tar with one file that cannot be compressed."""
    packed = BytesIO()
    with TarFile(fileobj=packed, mode="w") as tar:
        member = TarInfo("noise")
        member.size = size
        tar.addfile(member, BytesIO(os.urandom(size)))
    return packed.getvalue()
