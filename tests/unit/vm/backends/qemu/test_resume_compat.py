"""What must be the same for a saved state to be resumed, and what may differ."""

from pathlib import Path, PurePath

import msgspec
import pytest

from vm.backends.qemu.accel import Verdict
from vm.backends.qemu.command import Launch
from vm.backends.qemu.resume_compat import FORMAT, REASONS, ResumeCompat, compat_of, difference
from vm.backends.qemu.running import Running
from vm.backends.qemu.state import suspend
from vm.backends.qemu.state.boot_checkpoint import CheckpointManifest
from vm.backends.qemu.state.suspend import MANIFEST, SuspendManifest
from vm.directory import MachineDir
from vm.errors import NotResumable
from vm.image import Fingerprint
from vm.types import MachineSpec

THEN = ResumeCompat(FORMAT, "qemu 1 2", "tcg", "", "image", 8 << 30, "arguments")
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


@pytest.mark.parametrize("field", ResumeCompat.__struct_fields__)
def test_each_field_has_its_reason(field: str) -> None:
    other = getattr(THEN, field) + (1 if field in ("format", "disk_bytes") else "x")
    now = msgspec.structs.replace(THEN, **{field: other})
    assert difference(THEN, now) == REASONS[field] == difference(now, THEN)


def test_equal_states_have_no_difference() -> None:
    assert difference(THEN, THEN) is None


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
def test_another_configuration_is_different(
    launch: Launch, change: dict[str, object], reason: str
) -> None:
    before = compat_of(launch, spec(launch))
    after = compat_of(msgspec.structs.replace(launch, **change), spec(launch))
    assert difference(before, after) == REASONS[reason]


@pytest.mark.parametrize(("file", "reason"), [("qemu", "qemu"), ("image/manifest.json", "image")])
def test_a_replaced_program_or_image_is_different(
    launch: Launch, tmp_path: Path, file: str, reason: str
) -> None:
    before = compat_of(launch, spec(launch))
    (tmp_path / file).write_text("another")
    assert difference(before, compat_of(launch, spec(launch))) == REASONS[reason]


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
def test_options_of_one_start_do_not_matter(launch: Launch, change: dict[str, object]) -> None:
    before = compat_of(launch, spec(launch))
    after = compat_of(msgspec.structs.replace(launch, **change), spec(launch))
    assert difference(before, after) is None


@pytest.mark.parametrize("kind", [SuspendManifest, CheckpointManifest, Running, Verdict])
def test_the_key_on_disk_is_that_of_older_versions(kind: type[msgspec.Struct]) -> None:
    """Otherwise a machine that runs or is suspended during an update could not be resumed."""
    keys = {field.encode_name for field in msgspec.structs.fields(kind)}
    assert "circumstances" in keys


def written_by(saved: ResumeCompat, disk: Path) -> bytes:
    return msgspec.json.encode(SuspendManifest(saved, 0.0, {}, Fingerprint.of(disk)))


@pytest.mark.parametrize("kind", ["older", "foreign"])
def test_a_state_of_another_version_or_qemu_is_refused_with_the_reason(
    launch: Launch, tmp_path: Path, kind: str
) -> None:
    directory = MachineDir(tmp_path / "machine", tmp_path / "logs", tmp_path / "run")
    directory.suspended.mkdir(parents=True)
    directory.data_disk.touch()
    for name in ("state", "ram", "console.log"):
        (directory.suspended / name).touch()
    current = compat_of(launch, spec(launch))
    changes = {"format": current.format - 1} if kind == "older" else {"qemu": "/opt/qemu 1 2"}
    saved = msgspec.structs.replace(current, **changes)
    (directory.suspended / MANIFEST).write_bytes(written_by(saved, directory.data_disk))
    with pytest.raises(NotResumable) as refused:
        suspend._load_fitting(directory, launch, spec(launch))
    reason = REASONS["format"] if kind == "older" else REASONS["qemu"]
    assert reason.summary in str(refused.value.summary)
