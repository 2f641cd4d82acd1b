"""Checks of the virtual machine: its backend, accelerator, start, image and clock."""

import time
from itertools import chain
from pathlib import Path

from engine.diagnose.facts import Check, Facts
from engine.guest.build import find_current
from engine.lifecycle.machine_channel import channel
from engine.messages.diagnose import (
    DIAGNOSE_CLOCK_AHEAD,
    DIAGNOSE_CLOCK_BEHIND,
    DIAGNOSE_EMULATED,
    DIAGNOSE_IMAGE_CVES,
    DIAGNOSE_IMAGE_WAITS,
    DIAGNOSE_NO_CLOCK,
)
from engine.messages.image import IMAGE_OLD
from engine.settings.image_settings import AUTOMATIC
from vm.directory import MachineDir
from vm.errors import HostError, ImageDamaged, MachineError, Problem, VirtualizationOff
from vm.image import find, verify

EMULATED = "tcg"
CLOCK_TOLERANCE = 5.0  # seconds


def _check_backend(facts: Facts) -> Problem | None:
    assert facts.backend is not None
    return facts.backend.probe()


BACKEND = Check(
    "The program that runs the machine is usable",
    lambda facts: facts.backend is not None,
    _check_backend,
)


def _has_accelerator(facts: Facts) -> bool:
    return facts.observation is not None and facts.observation.accelerator is not None


def _check_acceleration(facts: Facts) -> Problem | None:
    assert facts.observation is not None
    accelerator = facts.observation.accelerator
    if accelerator is None or accelerator.name != EMULATED:
        return None
    return VirtualizationOff(DIAGNOSE_EMULATED, reason=accelerator.text).to_problem()


ACCELERATION = Check("The machine runs at full speed", _has_accelerator, _check_acceleration)


def _is_explained(facts: Facts) -> bool:
    return facts.backend is not None and facts.backend.explains is not None


def _check_starts(facts: Facts) -> Problem | None:
    assert facts.backend is not None
    assert facts.backend.explains is not None
    return facts.backend.explains.why_slow(MachineDir.of(facts.home))


STARTS = Check("The machine starts from a boot checkpoint", _is_explained, _check_starts)


def _image(facts: Facts) -> Path | None:
    """The image in use, else the one that a start would use, else any, which may be damaged."""
    used = facts.status.image if facts.status is not None else None
    if used is not None and (facts.home.images / used.name).is_dir():
        return facts.home.images / used.name
    setting = facts.settings.channel if facts.settings is not None else AUTOMATIC
    images = facts.home.images
    return next(chain(find_current(images, channel(facts.home, setting)), find(images)), None)


def _has_image(facts: Facts) -> bool:
    return _image(facts) is not None


def _check_image(facts: Facts) -> Problem | None:
    path = _image(facts)
    if path is None:  # it was removed meanwhile
        return None
    try:
        verify(path)
    except ImageDamaged as damage:
        return damage.to_problem()
    return None


IMAGE = Check("The guest image is intact", _has_image, _check_image)


def _knows_image(facts: Facts) -> bool:
    return facts.status is not None and facts.status.image is not None


def _check_age(facts: Facts) -> Problem | None:
    """What the last check has found. It asks no server itself."""
    assert facts.status is not None
    assert facts.status.image is not None
    used = facts.status.image
    if used.waiting:
        return HostError(DIAGNOSE_IMAGE_WAITS, date=used.waiting[:10]).to_problem()
    if used.cves:
        return HostError(
            DIAGNOSE_IMAGE_CVES, count=len(used.cves), details=", ".join(used.cves)
        ).to_problem()
    return next((each for each in facts.status.problems if each.code == IMAGE_OLD.code), None)


IMAGE_AGE = Check("The guest image has Debian's fixes", _knows_image, _check_age)


def _check_clock(facts: Facts) -> Problem | None:
    """A guest whose clock is behind fails every https download."""
    assert facts.guest is not None
    date = facts.guest.run(("date", "+%s"), timeout=10)
    if not date.stdout.strip().isdigit():
        return MachineError(DIAGNOSE_NO_CLOCK, details=date.tail()).to_problem()
    behind = time.time() - int(date.stdout)
    if abs(behind) < CLOCK_TOLERANCE:
        return None
    message = DIAGNOSE_CLOCK_BEHIND if behind > 0 else DIAGNOSE_CLOCK_AHEAD
    return MachineError(message, seconds=abs(behind)).to_problem()


CLOCK = Check("The machine's clock is right", lambda facts: facts.guest is not None, _check_clock)
