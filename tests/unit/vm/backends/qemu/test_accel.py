"""The choice of an accelerator, and its cache. The test guest is a stand-in."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.unit.vm.backends.qemu.test_command import CASES
from vm.backends.qemu import accel
from vm.errors import VirtualizationOff
from vm.messages import Text
from vm.messages.qemu import ACCELERATOR_FAILED, ACCELERATOR_NO_KVM, ACCELERATOR_WORKS
from vm.types import Accelerator

LAUNCH = CASES["linux-kvm"]
WORKS = ACCELERATOR_WORKS.text(accelerator="KVM", seconds=0.6)
REFUSED = ACCELERATOR_FAILED.text(accelerator="KVM", reason="failed to set MSR 0x10a")
ABSENT = ACCELERATOR_NO_KVM.text(device="/dev/kvm")


class Guest:
    """Stand-in for the test guest: counts its boots and returns `answer`."""

    def __init__(self) -> None:
        self.boots = 0
        self.answer = (True, WORKS)

    def __call__(self, native: str, launch: object) -> tuple[bool, Text]:
        self.boots += 1
        return self.answer


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    stand_in = Guest()
    monkeypatch.setattr(accel, "boots", stand_in)
    monkeypatch.setattr(accel, "why_missing", lambda native: None)
    return stand_in


@pytest.fixture
def choose(tmp_path: Path) -> Callable[..., Accelerator]:
    def choose(setting: str = "auto", version: str = "QEMU 10", model: str = "auto") -> Accelerator:
        launch = msgspec.structs.replace(LAUNCH, cpu_model=model)
        return accel.choose(
            setting, launch, tmp_path / "accelerator.json", version, lambda progress: None
        )

    return choose


def test_a_verdict_is_cached(guest: Guest, choose: Callable[..., Accelerator]) -> None:
    assert choose() == choose() == accel.accelerator("kvm", WORKS)
    assert guest.boots == 1


def test_a_refusal_means_emulation_and_is_cached(
    guest: Guest, choose: Callable[..., Accelerator]
) -> None:
    guest.answer = (False, REFUSED)
    assert choose() == choose() == accel.accelerator("tcg", REFUSED)
    assert guest.boots == 1


@pytest.mark.parametrize("change", ["version", "model", "kernel", "cpu", "damage"])
def test_a_change_of_qemu_cpu_or_kernel_repeats_the_test(
    guest: Guest,
    choose: Callable[..., Accelerator],
    change: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choose()
    if change == "kernel":
        monkeypatch.setattr("platform.release", lambda: "99.0")
    if change == "cpu":
        monkeypatch.setattr(accel, "processor_name", lambda: "Another CPU")
    if change == "damage":
        (tmp_path / "accelerator.json").write_text('{"works":')
    given = {"version": {"version": "QEMU 11"}, "model": {"model": "Nehalem"}}
    choose(**given.get(change, {}))
    assert guest.boots == 2


def test_a_cached_refusal_expires_after_a_day(
    guest: Guest, choose: Callable[..., Accelerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    guest.answer = (False, REFUSED)
    choose()
    monkeypatch.setattr(accel, "REFUSAL_HOLDS", 0.0)
    guest.answer = (True, WORKS)
    assert choose().name == "kvm"
    monkeypatch.setattr(accel, "_is_current", lambda verdict: verdict.works)
    assert choose().name == "kvm"
    assert guest.boots == 2


def test_a_missing_accelerator_is_not_tested(
    guest: Guest, choose: Callable[..., Accelerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "why_missing", lambda native: ABSENT)
    assert choose() == accel.accelerator("tcg", ABSENT)
    with pytest.raises(VirtualizationOff, match="/dev/kvm does not exist"):
        choose("kvm")
    assert guest.boots == 0


def test_an_explicit_setting_is_used(guest: Guest, choose: Callable[..., Accelerator]) -> None:
    assert choose("kvm").name == "kvm"
    assert choose("tcg").name == "tcg"
    with pytest.raises(VirtualizationOff, match="hvf does not exist"):
        choose("hvf")
    assert guest.boots == 0


def test_the_reason_for_a_missing_accelerator_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(accel, "KVM", tmp_path / "kvm")
    assert (reason := accel.why_missing("kvm"))
    assert reason.code == "accelerator.no_kvm"
    (tmp_path / "kvm").touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert (reason := accel.why_missing("kvm"))
    assert reason.code == "accelerator.kvm_closed"


def test_the_first_error_line_is_reported() -> None:
    stderr = [
        "qemu-system-x86_64: warning: no hugepages",
        "qemu-system-x86_64: error: failed to set MSR 0x10a to 0xc000069",
        "kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.",
    ]
    assert accel.error_line(stderr) == stderr[1]
    assert accel.error_line(stderr[:1]) == stderr[0]
