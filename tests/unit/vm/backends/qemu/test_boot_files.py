"""Boot files, as an initramfs and as a message; VM tests show that the guest reads them."""

import io
import tarfile
import time
from pathlib import Path

import pytest

from vm.backends.qemu import boot_files
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


def test_without_boot_files_the_images_initramfs_is_used(
    directory: MachineDir, image: Path
) -> None:
    assert boot_files.initramfs(directory, image) == image / "initramfs"
    directory.boot_files.mkdir()
    assert boot_files.initramfs(directory, image) == image / "initramfs"
    assert not directory.initramfs.exists()


def test_boot_files_are_appended_to_the_images_initramfs(
    directory: MachineDir, image: Path
) -> None:
    directory.boot_files.mkdir()
    (directory.boot_files / "daemon.json").write_bytes(b"{}")
    (directory.boot_files / "certificates.pem").write_bytes(b"authority")
    made = boot_files.initramfs(directory, image)
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


def test_an_initramfs_of_removed_boot_files_is_deleted(directory: MachineDir, image: Path) -> None:
    directory.boot_files.mkdir()
    file = directory.boot_files / "daemon.json"
    file.write_bytes(b"{}")
    boot_files.initramfs(directory, image)
    file.unlink()
    assert boot_files.initramfs(directory, image) == image / "initramfs"
    assert not directory.initramfs.exists()


def test_a_message_has_the_time_a_seed_the_files_and_the_words(directory: MachineDir) -> None:
    directory.boot_files.mkdir()
    (directory.boot_files / "daemon.json").write_bytes(b"{}")
    boot_files.save_words(directory, ["galley.format=1", "galley.fsck=repair"])
    seeds = set()
    for _ in range(2):
        made = boot_files.message(directory)
        head, tar = made[: boot_files.HEAD.size], made[boot_files.HEAD.size :]
        magic, length, seconds, nanoseconds, seed = boot_files.HEAD.unpack(head)
        assert (magic, length) == (boot_files.MAGIC, len(tar))
        assert abs(seconds + nanoseconds / 1e9 - time.time()) < 60
        seeds.add(seed)
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            found = {member.name: archive.extractfile(member) for member in archive}
            contents = {name: file.read() for name, file in found.items() if file is not None}
        assert contents == {
            "daemon.json": b"{}",
            "words": b"galley.format=1 galley.fsck=repair\n",
        }
    assert len(seeds) == 2


def test_boot_files_are_awaited_until_the_guest_confirms_them(directory: MachineDir) -> None:
    directory.logs.mkdir()
    directory.console_log.write_text("[1.00] galley: kernel\n")
    assert not boot_files.is_awaited(directory), "the guest has booted with its boot files"
    boot_files.save_words(directory, [])
    assert boot_files.is_awaited(directory), "the guest is about to wait for them"
    with directory.console_log.open("a") as console:
        console.write("[3.00] galley: template\n[3.50] galley: handed over\n")
    assert not boot_files.is_awaited(directory)
