"""The names of a machine's files. Older versions wrote them, so none may ever change: otherwise an
update would not find the user's images, volumes, snapshots or running machine."""

from pathlib import Path

import pytest

from vm.directory import MachineDir
from vm.host.paths import Home

DIRECTORY = MachineDir.of(Home(Path("/home"), Path("/run/galley")))
NAMES = {
    "uuid": "/home/machine/uuid",
    "spec": "/home/machine/spec.json",
    "data_disk": "/home/machine/data.img",
    "data_is_new": "/home/machine/data.new",
    "data_restored": "/home/machine/data.restored",
    "key": "/home/machine/id_ed25519",
    "public_key": "/home/machine/id_ed25519.pub",
    "known_host": "/home/machine/known_host",
    "boot_files": "/home/machine/handover",
    "initramfs": "/home/machine/initramfs",
    "words": "/home/machine/words",
    "boot_checkpoint": "/home/machine/template",
    "suspended": "/home/machine/suspended",
    "running": "/home/machine/running.json",
    "accelerator": "/home/machine/accelerator.json",
    "to_start": "/home/machine/to-start.json",
    "to_start_restored": "/home/machine/to-start.restored",
    "engine": "/home/machine/engine.json",
    "engine_restored": "/home/machine/engine.restored",
    "in_use": "/home/machine/in-use.json",
    "auto_suspended": "/home/machine/put-away",
    "wake_ports": "/home/machine/doors.json",
    "snapshots": "/home/machine/snapshots",
    "console_log": "/home/logs/console.log",
    "backend_log": "/home/logs/backend.log",
    "qmp_socket": "/run/galley/qmp.sock",
    "events_socket": "/run/galley/events.sock",
    "relay_socket": "/run/galley/relay.sock",
    "traffic_socket": "/run/galley/knock.sock",
}
OF_A_SNAPSHOT = {
    "snapshot_manifest": "/home/machine/snapshots/one/manifest.json",
    "snapshot_disk": "/home/machine/snapshots/one/data.img",
    "snapshot_suspended": "/home/machine/snapshots/one/suspended",
    "snapshot_engine": "/home/machine/snapshots/one/engine.json",
    "snapshot_to_start": "/home/machine/snapshots/one/to-start.json",
}
OF_A_SHARE = {
    "share_socket": "/run/galley/share2.sock",
    "share_view": "/run/galley/share2",
}
OTHERS = {"home", "sockets", "of", "data_disk_bytes", "saved_state_bytes"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_keeps_its_old_name(name: str) -> None:
    assert str(getattr(DIRECTORY, name)) == NAMES[name]


@pytest.mark.parametrize("name", OF_A_SNAPSHOT)
def test_a_file_of_a_snapshot_keeps_its_old_name(name: str) -> None:
    assert str(getattr(DIRECTORY, name)("one")) == OF_A_SNAPSHOT[name]


@pytest.mark.parametrize("name", OF_A_SHARE)
def test_a_file_of_a_share_keeps_its_old_name(name: str) -> None:
    assert str(getattr(DIRECTORY, name)(2)) == OF_A_SHARE[name]


def test_every_file_name_is_pinned_here() -> None:
    names = {name for name in vars(MachineDir) if not name.startswith("_")}
    fields = set(MachineDir.__struct_fields__)
    assert names - fields == {*NAMES, *OF_A_SNAPSHOT, *OF_A_SHARE, *OTHERS}


def test_sockets_are_those_that_qemu_listens_on() -> None:
    names = [socket.name for socket in DIRECTORY.sockets]
    assert names == ["qmp.sock", "events.sock", "relay.sock"]


def test_a_machine_has_its_home() -> None:
    assert DIRECTORY.home == Home(Path("/home"), Path("/run/galley"))


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir.of(Home(tmp_path, tmp_path / "run"))
    made.root.mkdir()
    return made


def test_data_disk_bytes_are_the_allocated_ones(directory: MachineDir) -> None:
    assert directory.data_disk_bytes() == 0
    with directory.data_disk.open("wb") as disk:
        disk.truncate(1 << 30)
        disk.write(bytes(range(256)) * 4096)
    assert 1 << 20 <= directory.data_disk_bytes() < 2 << 20


def test_saved_state_bytes_include_a_suspended_machine_and_a_boot_checkpoint(
    directory: MachineDir,
) -> None:
    assert directory.saved_state_bytes() == 0
    for folder, name in ((directory.suspended, "ram"), (directory.boot_checkpoint, "state")):
        folder.mkdir()
        (folder / name).write_bytes(bytes(range(256)) * 4096)
    assert 2 << 20 <= directory.saved_state_bytes() < 3 << 20
    (directory.boot_checkpoint / "gone").symlink_to("nowhere")
    assert directory.saved_state_bytes() == 0, "a file may vanish meanwhile"
