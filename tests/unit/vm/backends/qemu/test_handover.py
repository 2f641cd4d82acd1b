"""Which initramfs a machine starts with; what the kernel makes of it, the e2e tests show."""

from pathlib import Path

import pytest

from vm.backends.qemu import handover
from vm.directory import MachineDir


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "initramfs").write_bytes(b"the image's own.")
    return tmp_path / "image"


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    (tmp_path / "machine").mkdir()
    return MachineDir(tmp_path / "machine", tmp_path / "logs", tmp_path / "run")


def test_with_nothing_it_is_the_images_own(directory: MachineDir, image: Path) -> None:
    assert handover.initramfs(directory, image) == image / "initramfs"
    directory.handover.mkdir()
    assert handover.initramfs(directory, image) == image / "initramfs"
    assert not directory.initramfs.exists()


def test_files_follow_it(directory: MachineDir, image: Path) -> None:
    directory.handover.mkdir()
    (directory.handover / "daemon.json").write_bytes(b"{}")
    (directory.handover / "certificates.pem").write_bytes(b"authority")
    made = handover.initramfs(directory, image)
    assert made == directory.initramfs
    own, archive = made.read_bytes()[:16], made.read_bytes()[16:]
    assert own == b"the image's own."
    assert archive.startswith(b"070701")
    for part in (
        b"handover\0",
        b"handover/daemon.json\0",
        b"{}",
        b"certificates.pem",
        b"authority",
    ):
        assert part in archive


def test_what_is_handed_over_no_more_is_gone(directory: MachineDir, image: Path) -> None:
    directory.handover.mkdir()
    file = directory.handover / "daemon.json"
    file.write_bytes(b"{}")
    handover.initramfs(directory, image)
    file.unlink()
    assert handover.initramfs(directory, image) == image / "initramfs"
    assert not directory.initramfs.exists()
