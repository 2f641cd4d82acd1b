"""How the agent frees guest memory, so that the host reclaims it or copies less."""

import os
import subprocess
from pathlib import Path

from engine.guest.recipe import FILES
from tests.unit.vm.conftest import Machine
from vm.guest.agent import GuestAgent

# An agent that is locked in memory, after its deadline. Prints its peak memory in KiB.
LATE = """
#define _GNU_SOURCE
#include "shrink.h"
int main(void) {
  char line[256];
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) return 1;
  zero_free_memory(256 << 20, now() - 1);
  FILE *status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status))
    if (strncmp(line, "VmHWM:", 6) == 0) fputs(line + 6, stdout);
  return 0;
}
"""

MEMORY = """MemTotal: 2000000 kB
MemFree: 1000000 kB
Inactive(file): 150000 kB
"""
FREE_BLOCKS = """Node 0, zone      DMA      0      0      0      0      0      0      1      3
Node 0, zone    DMA32    600   1600    900    600    300    100     40    300
"""


def test_memory_is_shrunk_before_the_disk_is_frozen(machine: Machine, agent: GuestAgent) -> None:
    (machine.kernel / "meminfo").write_text(MEMORY)
    (machine.kernel / "buddyinfo").write_text(FREE_BLOCKS)
    (machine.kernel / "page_reporting_order").write_text("3\n")
    agent.settle()
    assert (machine.kernel / "frozen").exists()
    assert (machine.kernel / "memory.reclaim").read_text() == f"{4 << 20} swappiness=0"
    filled = [int(line) for line in (machine.kernel / "filled").read_text().split()]
    assert sum(filled) == (600 + 2 * 1600 + 4 * 900) * os.sysconf("SC_PAGE_SIZE")


def test_reclaim_also_drops_the_page_cache(machine: Machine, agent: GuestAgent) -> None:
    (machine.kernel / "meminfo").write_text(MEMORY)
    agent.reclaim()
    assert (machine.kernel / "drop_caches").read_text() == "1"
    assert (machine.kernel / "memory.reclaim").read_text() == f"{4 << 20} swappiness=0"
    assert (machine.kernel / "compact_memory").read_text() == "1"
    assert not (machine.kernel / "filled").exists()


def test_a_shrink_fills_at_most_half_of_free_memory(machine: Machine, agent: GuestAgent) -> None:
    (machine.kernel / "meminfo").write_text("MemFree: 20000 kB\n")
    (machine.kernel / "buddyinfo").write_text(FREE_BLOCKS)
    (machine.kernel / "page_reporting_order").write_text("3\n")
    agent.settle()
    filled = [int(line) for line in (machine.kernel / "filled").read_text().split()]
    assert sum(filled) == 10000 << 10


def test_a_machine_that_has_used_little_memory_is_not_shrunk(
    machine: Machine, agent: GuestAgent
) -> None:
    (machine.kernel / "meminfo").write_text("MemFree: 1000000 kB\nInactive(file): 36000 kB\n")
    (machine.kernel / "buddyinfo").write_text("Node 0, zone DMA32 600 1600 0\n")
    (machine.kernel / "page_reporting_order").write_text("3\n")
    agent.settle()
    assert (machine.kernel / "frozen").exists()
    assert not (machine.kernel / "memory.reclaim").exists()
    assert not (machine.kernel / "filled").exists()


def test_a_disk_is_frozen_where_memory_cannot_be_shrunk(
    machine: Machine, agent: GuestAgent
) -> None:
    """`filled` is a folder, so the process that fills memory exits."""
    (machine.kernel / "buddyinfo").write_text(FREE_BLOCKS)
    (machine.kernel / "page_reporting_order").write_text("3\n")
    (machine.kernel / "filled").mkdir()
    agent.settle()
    assert (machine.kernel / "frozen").exists()


def test_the_agent_fills_no_memory_after_its_deadline(tmp_path: Path) -> None:
    """Memory of a locked process is filled as soon as it can be written."""
    source, made = tmp_path / "late.c", tmp_path / "late"
    source.write_text(LATE)
    subprocess.run(["cc", f"-I{FILES / 'source'}", "-o", made, source], check=True)
    stdout = subprocess.run([made], check=True, capture_output=True, text=True).stdout
    assert int(stdout.split()[0]) < 64 << 10
