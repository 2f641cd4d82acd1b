"""What the keeper does to the guest's memory, for the host to have it back or to copy less."""

import os

from tests.unit.vm.conftest import Machine
from vm.keeper import Keeper

MEMORY = """MemTotal: 2000000 kB
MemFree: 1000000 kB
Inactive(file): 150000 kB
"""
FREE_BLOCKS = """Node 0, zone      DMA      0      0      0      0      0      0      1      3
Node 0, zone    DMA32    600   1600    900    600    300    100     40    300
"""


def test_memory_is_shrunk_before_the_disk_is_frozen(machine: Machine, keeper: Keeper) -> None:
    (machine.kernel / "meminfo").write_text(MEMORY)
    (machine.kernel / "buddyinfo").write_text(FREE_BLOCKS)
    (machine.kernel / "page_reporting_order").write_text("3\n")
    keeper.settle()
    assert (machine.kernel / "frozen").exists()
    assert (machine.kernel / "memory.reclaim").read_text() == f"{4 << 20} swappiness=0"
    filled = [int(line) for line in (machine.kernel / "filled").read_text().split()]
    assert sum(filled) == (600 + 2 * 1600 + 4 * 900) * os.sysconf("SC_PAGE_SIZE")


def test_reclaim_drops_what_was_not_read_again_too(machine: Machine, keeper: Keeper) -> None:
    (machine.kernel / "meminfo").write_text(MEMORY)
    keeper.reclaim()
    assert (machine.kernel / "drop_caches").read_text() == "1"
    assert (machine.kernel / "memory.reclaim").read_text() == f"{4 << 20} swappiness=0"
    assert (machine.kernel / "compact_memory").read_text() == "1"
    assert not (machine.kernel / "filled").exists()


def test_a_shrink_leaves_half_of_what_is_free(machine: Machine, keeper: Keeper) -> None:
    (machine.kernel / "meminfo").write_text("MemFree: 20000 kB\n")
    (machine.kernel / "buddyinfo").write_text(FREE_BLOCKS)
    (machine.kernel / "page_reporting_order").write_text("3\n")
    keeper.settle()
    filled = [int(line) for line in (machine.kernel / "filled").read_text().split()]
    assert sum(filled) == 10000 << 10


def test_a_disk_is_frozen_where_memory_cannot_be_shrunk(machine: Machine, keeper: Keeper) -> None:
    """`filled` is a folder there: the worker ends."""
    (machine.kernel / "buddyinfo").write_text(FREE_BLOCKS)
    (machine.kernel / "page_reporting_order").write_text("3\n")
    (machine.kernel / "filled").mkdir()
    keeper.settle()
    assert (machine.kernel / "frozen").exists()
