"""What comes back of this computer's memory when a container no longer needs it.

Next: `engine/guest/files/usr/lib/galley/upkeep`, `idle.py`.
"""

from collections.abc import Iterator

from tests.bench.figures import Row, at_least, row
from tests.bench.lab import Lab
from tests.bench.timing import let_pass, wait_until
from tests.e2e.galley import IMAGE
from vm.host.process import resident_bytes

MIB = 1 << 20
TAKEN = 500  # MiB
SETTLE, AFTER = 30.0, 60.0  # seconds


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    machine, taken = galley.vm_identity(), TAKEN * MIB
    let_pass(lab.times(int(SETTLE), 5))
    before = resident_bytes(machine)
    fill = f"busybox dd if=/dev/urandom of=/m/taken bs=1M count={TAKEN}; exec sleep 1000"
    words = ("-d", "--name", "taker", "--tmpfs", f"/m:size={TAKEN + 50}m")
    galley.docker("run", *words, IMAGE, "sh", "-c", fill)
    wait_until(lambda: resident_bytes(machine) - before >= taken, "the container takes it")
    galley.docker("exec", "taker", "sync")
    peak = resident_bytes(machine)
    galley.docker("rm", "-f", "taker")
    let_pass(AFTER)
    after = resident_bytes(machine)
    back = 100 * (peak - after) / (peak - before)
    yield row("memory.taken", (peak - before) / MIB, "MiB", n=1)
    yield row("memory.back_after_a_minute", back, "%", n=1, goal=at_least(90))
