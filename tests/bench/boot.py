"""Cold start: QEMU spawned → `/_ping` answers on the host's socket, against the floor.

The floor is the same QEMU, flags, kernel and initramfs, whose init powers off at once. A start
resumes a boot checkpoint (vm/backends/qemu/state/boot_checkpoint.py); `boot.first` has to create
it, as the very first start and a start after a change of settings or image do. Needs Linux (/proc).
Next: `engine/guest/files` for the boot, `vm/backends/qemu/command.py` for the flags.
"""

import os
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec
import psutil

from tests.bench.figures import Row, at_most, compared, row
from tests.bench.http_endpoints import answers, unix_endpoint
from tests.bench.lab import Lab
from tests.bench.timing import alternate, wait_until
from tests.e2e.galley import GALLEY, Galley
from vm.backends.qemu.state.boot_checkpoint import MANIFEST
from vm.guest.console import Console
from vm.host import sparse

READY = "engine"  # the last console line of a boot: dockerd answers in the guest
DEADLINE = 60.0


class Boot(msgspec.Struct, frozen=True):
    """One start, in seconds."""

    ready: float  # QEMU spawned → ping on the host's socket
    command: float  # the whole `galley start`
    steps: dict[str, float]


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.stopped()
    words: list[str] = []

    def boot() -> Boot:
        taken = _start(galley)
        words[:] = psutil.Process(galley.vm_identity().pid).cmdline()
        galley.run("stop", "--cold")
        return taken

    def boot_first() -> Boot:
        shutil.rmtree(galley.machine.boot_checkpoint)
        taken = boot()
        wait_until(
            (galley.machine.boot_checkpoint / MANIFEST).exists, "the boot checkpoint is saved"
        )
        return taken

    boot()  # the page cache is warm from here on
    taken, floors = alternate(lab.times(5, 2), boot, lambda: floor_of(words, galley, lab.folder))
    readies = [one.ready for one in taken]
    yield compared("boot.ready", "s", (readies, floors), at_most(3.5))
    first, floors = alternate(
        lab.times(3, 1), boot_first, lambda: floor_of(words, galley, lab.folder)
    )
    yield compared("boot.first", "s", ([one.command for one in first], floors))
    held = sum(sparse.allocated(file) for file in galley.machine.boot_checkpoint.iterdir())
    yield row("boot.template_on_disk", held / 2**20, "MiB", n=1)
    yield row("boot.command", median(one.command for one in taken), "s", n=len(taken))
    steps: dict[str, list[float]] = defaultdict(list)
    for one in taken:
        for step, seconds in one.steps.items():
            steps[step].append(seconds)
    between = [one.command - sum(one.steps.values()) for one in taken]
    yield row("boot.between_steps", median(between), "s", n=len(taken))
    for step, times in steps.items():
        yield row(f"boot.step {step}", median(times), "s", n=len(times))


def _start(galley: Galley) -> Boot:
    """Times `galley start`: watches the console until dockerd runs, then pings from the host."""
    endpoint = unix_endpoint(galley.home.docker_socket)
    console = Console(galley.machine.console_log)
    began = time.monotonic()
    command = galley.popen([*GALLEY, "start"])
    wait_until(galley.machine.running.exists, "QEMU is started", 0.02)
    spawned = _spawned_at(galley.vm_identity().pid)
    wait_until(lambda: console.find(READY) is not None, "dockerd answers in the guest", 0.02)
    wait_until(lambda: answers(endpoint), "dockerd answers on the host", 0.01)
    ready = time.clock_gettime(time.CLOCK_BOOTTIME) - spawned
    output, _ = command.communicate(timeout=DEADLINE)
    took = time.monotonic() - began
    assert command.returncode == 0, output.decode(errors="replace")
    steps = {step["step"]: step["seconds"] for step in galley.status()["boot"]}
    return Boot(ready, took, steps)


def _spawned_at(pid: int) -> float:
    """The start time of a process on CLOCK_BOOTTIME, to a hundredth of a second."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19]) / os.sysconf("SC_CLK_TCK")


def floor_of(words: list[str], galley: Galley, folder: Path) -> float:
    """Seconds from spawn to exit of the same command line with the kernel word of the floor, its
    own sockets, and no shared folders."""
    words = _without_checkpoint(_without_shares(words))
    at = words.index("-append") + 1
    appended = [*words[:at], words[at] + " galley.floor=1", *words[at + 1 :]]
    own = {
        galley.machine.console_log: folder / "floor.log",
        galley.machine.qmp_socket: folder / "q",
        galley.machine.relay_socket: folder / "r",
    }
    line = [_replaced(word, own) for word in appended]
    line[line.index("-uuid") + 1] = "00000000-0000-4000-8000-000000000000"
    began = time.monotonic()
    subprocess.run(line, check=True, timeout=DEADLINE, capture_output=True)
    took = time.monotonic() - began
    assert b"Power down" in (folder / "floor.log").read_bytes()
    return took


def _without_checkpoint(words: list[str]) -> list[str]:
    """The command line without the resume of a boot checkpoint."""
    return words[: words.index("-incoming")] if "-incoming" in words else words


def _without_shares(words: list[str]) -> list[str]:
    """The command line without shared folders and the shared memory that they need."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    serve = ("socket,id=share", "vhost-user-fs-pci,", "memory-backend")
    shares = [at for at, (_, after) in enumerate(pairs) if after.startswith(serve)]
    return [word for at, word in enumerate(words) if at not in shares and at - 1 not in shares]


def _replaced(word: str, own: dict[Path, Path]) -> str:
    for theirs, ours in own.items():
        word = word.replace(str(theirs), str(ours))
    return word
