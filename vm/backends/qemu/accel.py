"""Chooses the accelerator: the first that boots a test guest, with a sentence that explains it.

That the device exists proves nothing: /dev/kvm opens on computers where QEMU then aborts on a
register, or where a guest is far too slow. So the image's own kernel boots and powers off at once;
a smaller guest would exercise less. The verdict is cached beside the machine until QEMU, the host's
kernel, its CPU or the accelerators change. Next: `command.py` (the test guest), `backend.py`.
"""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from vm.backends.qemu.command import Launch, probe_arguments
from vm.errors import VirtualizationOff
from vm.host import process
from vm.host.paths import write_atomic
from vm.messages import Text
from vm.messages.qemu import (
    ACCELERATOR_CHOSEN,
    ACCELERATOR_ELSEWHERE,
    ACCELERATOR_FAILED,
    ACCELERATOR_KVM_CLOSED,
    ACCELERATOR_NO_HVF,
    ACCELERATOR_NO_KVM,
    ACCELERATOR_NONE,
    ACCELERATOR_REFUSED,
    ACCELERATOR_SLOW,
    ACCELERATOR_TESTING,
    ACCELERATOR_WHPX,
    ACCELERATOR_WORKS,
    EMULATION_CHOSEN,
    QEMU_ENDED,
)
from vm.types import Accelerator

NATIVE = {"Linux": "kvm", "Darwin": "hvf", "Windows": "whpx"}
TITLES = {"kvm": "KVM", "hvf": "Hypervisor.framework", "whpx": ACCELERATOR_WHPX}
KVM = Path("/dev/kvm")

DEADLINE = 10.0  # seconds; emulation boots this guest in under four on a slow computer
POWERED_OFF = b"reboot: Power down"  # with -no-reboot, a crash too ends QEMU with exit code 0
# A failure may be temporary: another hypervisor used the CPU, or the computer was busy.
REFUSAL_HOLDS = 86_400.0


class Verdict(msgspec.Struct, frozen=True):
    """The result of the test guest: the content of `accelerator.json`."""

    measured_with: tuple[str, ...] = msgspec.field(name="circumstances")
    works: bool
    reason: Text
    at: float  # seconds since the epoch


def choose(
    asked: str, launch: Launch, memory: Path, version: str, progress: Callable[[Text], None]
) -> Accelerator:
    """The accelerator for `asked`, a setting. Raises VirtualizationOff if it cannot be used.

    `launch`: the machine that is about to start, with any accelerator; `memory`: the file that
    caches the verdict; `version`: QEMU's.
    """
    if asked == "tcg":
        return accelerator("tcg", EMULATION_CHOSEN.text())
    native = NATIVE.get(launch.system, "")
    missing = why_missing(native)
    if asked != "auto":
        _check_chosen(asked, native, missing)
        return accelerator(asked, ACCELERATOR_CHOSEN.text(accelerator=TITLES[asked]))
    if missing:
        return accelerator("tcg", missing)
    verdict = _verdict(native, launch, memory, version, progress)
    return accelerator(native if verdict.works else "tcg", verdict.reason)


def accelerator(name: str, reason: Text) -> Accelerator:
    return Accelerator(name, reason.english, reason.code, reason.values)


def why_missing(native: str) -> Text | None:
    """Why the accelerator does not exist here, None when it does. Quick."""
    if native == "":
        return ACCELERATOR_NONE.text()
    if native == "kvm" and not KVM.exists():
        return ACCELERATOR_NO_KVM.text(device=KVM)
    if native == "kvm" and not os.access(KVM, os.R_OK | os.W_OK):
        return ACCELERATOR_KVM_CLOSED.text(device=KVM)
    if native == "hvf" and not _answers("1", "sysctl", "-n", "kern.hv_support"):
        return ACCELERATOR_NO_HVF.text()
    return None


def _check_chosen(asked: str, native: str, missing: Text | None) -> None:
    if asked == native and missing is None:
        return
    elsewhere = ACCELERATOR_ELSEWHERE.text(accelerator=asked, system=platform.system())
    raise VirtualizationOff(ACCELERATOR_REFUSED, reason=missing or elsewhere)


def _verdict(
    native: str, launch: Launch, memory: Path, version: str, progress: Callable[[Text], None]
) -> Verdict:
    measured_with = (native, version, platform.release(), processor_name(), launch.cpu_model)
    known = _read_verdict(memory)
    if known is not None and known.measured_with == measured_with and _is_current(known):
        return known
    progress(ACCELERATOR_TESTING.text(accelerator=TITLES[native]))
    works, reason = boots(native, launch)
    verdict = Verdict(measured_with, works, reason, time.time())
    write_atomic(memory, msgspec.json.encode(verdict))
    return verdict


def boots(native: str, launch: Launch) -> tuple[bool, Text]:
    """Boot the test guest. Returns whether it booted, and a sentence about it."""
    guest = msgspec.structs.replace(
        launch, accelerator=native, cpus=min(launch.cpus, 2), memory_bytes=512 << 20
    )
    title = TITLES[native]
    before = time.monotonic()
    try:
        done = process.run(probe_arguments(guest), timeout=DEADLINE)
    except process.TimedOut:
        return False, ACCELERATOR_SLOW.text(accelerator=title, seconds=DEADLINE)
    if POWERED_OFF in done.stdout:
        took = time.monotonic() - before
        return True, ACCELERATOR_WORKS.text(accelerator=title, seconds=took)
    lines = done.tail(5).splitlines()[1:]
    reason = error_line(lines) if lines else QEMU_ENDED.text(code=done.returncode)
    return False, ACCELERATOR_FAILED.text(accelerator=title, reason=reason)


def error_line(lines: list[str]) -> str:
    """The most informative line: QEMU's first error; a later assertion only follows from it."""
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines[-1:])[0].strip()


def _read_verdict(memory: Path) -> Verdict | None:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_current(verdict: Verdict) -> bool:
    return verdict.works or 0 <= time.time() - verdict.at < REFUSAL_HOLDS


def processor_name() -> str:
    """As this computer reports it; "" where it reports none."""
    if platform.system() == "Linux":
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        named = (line for line in lines if line.startswith(("model name", "CPU part")))
        return next(named, "").partition(":")[2].strip()
    if platform.system() == "Darwin":
        done = process.run(["sysctl", "-n", "machdep.cpu.brand_string"], timeout=5)
        return done.stdout.decode(errors="replace").strip()
    return platform.processor()


def _answers(expected: str, *argv: str) -> bool:
    return process.run(argv, timeout=5).stdout.decode(errors="replace").strip() == expected
