"""What must be the same for a machine on the disk to go on, and what may differ."""

from pathlib import Path, PurePath

import msgspec
import pytest

from vm.backends.qemu.command import Launch
from vm.backends.qemu.resume_compat import FORMAT, REASONS, Circumstances, circumstances, difference
from vm.backends.qemu.state import suspend
from vm.backends.qemu.state.suspend import MANIFEST, Suspended
from vm.directory import MachineDir
from vm.errors import NotResumable
from vm.image import Fingerprint
from vm.types import MachineSpec

THEN = Circumstances(FORMAT, "qemu 1 2", "tcg", "", "image", 8 << 30, "arguments")
GIB = 1 << 30


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    program, image = tmp_path / "qemu", tmp_path / "image"
    image.mkdir()
    program.write_text("one")
    (image / "manifest.json").write_text("one")
    run = tmp_path / "run"
    return Launch(
        str(program),
        *("Linux", "x86_64", "tcg", 2, GIB, image, tmp_path / "data.img", "uuid", 1234),
        *(run / "qmp.sock", run / "events.sock", run / "relay.sock", tmp_path / "console.log"),
        ("galley.key=a", "galley.format=1"),
    )


def spec(launch: Launch) -> MachineSpec:
    return MachineSpec(launch.cpus, launch.memory_bytes, 8 * GIB, str(launch.image))


@pytest.mark.parametrize("field", Circumstances.__struct_fields__)
def test_whatever_differs_is_told(field: str) -> None:
    other = getattr(THEN, field) + (1 if field in ("format", "disk_bytes") else "x")
    now = msgspec.structs.replace(THEN, **{field: other})
    assert difference(THEN, now) == REASONS[field] == difference(now, THEN)


def test_the_same_is_the_same() -> None:
    assert difference(THEN, THEN) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"accelerator": "kvm"}, "accelerator"),
        ({"cpus": 1}, "arguments"),
        ({"cpu_model": "max"}, "arguments"),
        ({"guest_options": ("galley.key=b",)}, "arguments"),
        ({"share_sockets": (PurePath("/run/share0"),)}, "arguments"),
    ],
)
def test_another_machine_is_another(launch: Launch, change: dict[str, object], reason: str) -> None:
    before = circumstances(launch, spec(launch))
    after = circumstances(msgspec.structs.replace(launch, **change), spec(launch))
    assert difference(before, after) == REASONS[reason]


@pytest.mark.parametrize(("file", "reason"), [("qemu", "qemu"), ("image/manifest.json", "image")])
def test_a_program_or_an_image_that_was_replaced_is_another(
    launch: Launch, tmp_path: Path, file: str, reason: str
) -> None:
    before = circumstances(launch, spec(launch))
    (tmp_path / file).write_text("another")
    assert difference(before, circumstances(launch, spec(launch))) == REASONS[reason]


@pytest.mark.parametrize(
    "change",
    [
        {"ssh_port": 9},
        {"waits": True},
        {"memory_file": PurePath("/proc/self/fd/9")},
        {"initramfs": PurePath("/elsewhere")},
        {"guest_options": ("galley.key=a", "galley.fsck=repair")},
    ],
)
def test_what_belongs_to_one_start_does_not_count(
    launch: Launch, change: dict[str, object]
) -> None:
    before = circumstances(launch, spec(launch))
    after = circumstances(msgspec.structs.replace(launch, **change), spec(launch))
    assert difference(before, after) == ""


def written_by(there: Circumstances, disk: Path) -> bytes:
    return msgspec.json.encode(Suspended(there, 0.0, {}, Fingerprint.of(disk)))


@pytest.mark.parametrize("kind", ["older", "foreign"])
def test_a_state_of_others_is_refused_with_the_reason(
    launch: Launch, tmp_path: Path, kind: str
) -> None:
    directory = MachineDir(tmp_path / "machine", tmp_path / "logs", tmp_path / "run")
    directory.suspended.mkdir(parents=True)
    directory.data_disk.touch()
    for name in ("state", "ram", "console.log"):
        (directory.suspended / name).touch()
    here = circumstances(launch, spec(launch))
    others = {"format": here.format - 1} if kind == "older" else {"qemu": "/opt/qemu 1 2"}
    there = msgspec.structs.replace(here, **others)
    (directory.suspended / MANIFEST).write_bytes(written_by(there, directory.data_disk))
    with pytest.raises(NotResumable) as refused:
        suspend._fitting(directory, launch, spec(launch))
    reason = REASONS["format"] if kind == "older" else REASONS["qemu"]
    assert reason in str(refused.value.summary)
