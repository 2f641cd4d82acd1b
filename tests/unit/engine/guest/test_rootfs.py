"""Which package files are copied to the image's /usr, and with which modes."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from engine.guest.archive import PackageTree
from engine.guest.rootfs import SKELETON, Staging
from tests.unit.engine.guest.elves import program
from vm.errors import HostError

LIBRARIES = "usr/lib/x86_64-linux-gnu"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    path = tmp_path / "packages.tar"
    loader = "/lib64/ld.so"
    files = {
        "./usr/sbin/daemon": program(loader, ["liba.so.1"]),
        f"./{LIBRARIES}/liba.so.1.2": program(loader, ["libb.so.2"]),
        f"./{LIBRARIES}/libb.so.2": program(loader, []),
        "./usr/lib64/ld.so": b"loader",
        "./usr/sbin/broken": program(loader, ["libabsent.so.9"]),
        "./etc/services": b"ssh 22/tcp\n",
        "./usr/share/unwanted": b"",
    }
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755 if "sbin" in name else 0o600, len(data)
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo(f"./{LIBRARIES}/liba.so.1")
        link.type, link.linkname = tarfile.SYMTYPE, "liba.so.1.2"
        tar.addfile(link)
    return path


def test_a_program_is_copied_with_its_libraries_and_nothing_else(
    packages: Path, tmp_path: Path
) -> None:
    usr = tmp_path / "usr"
    usr.mkdir()
    with PackageTree(packages) as tree:
        Staging(tree, usr).copy_program("usr/sbin/daemon", LIBRARIES)
    found = {path.relative_to(usr).as_posix() for path in usr.rglob("*") if not path.is_dir()}
    libraries = LIBRARIES.removeprefix("usr/")
    assert found == {
        "sbin/daemon",
        f"{libraries}/liba.so.1",
        f"{libraries}/liba.so.1.2",
        f"{libraries}/libb.so.2",
        "lib64/ld.so",
    }


def test_a_missing_library_is_named(packages: Path, tmp_path: Path) -> None:
    with PackageTree(packages) as tree, pytest.raises(HostError, match=r"libabsent\.so\.9"):
        Staging(tree, tmp_path).copy_program("usr/sbin/broken", LIBRARIES)


def test_modes_do_not_depend_on_the_umask(packages: Path, tmp_path: Path) -> None:
    usr = tmp_path / "usr"
    before = os.umask(0o077)
    try:
        usr.mkdir()
        with PackageTree(packages) as tree:
            staging = Staging(tree, usr)
            staging.copy("usr/sbin/daemon")
            staging.copy("etc/services")
    finally:
        os.umask(before)
    assert (usr / "sbin").stat().st_mode & 0o777 == 0o755
    assert (usr / "sbin/daemon").stat().st_mode & 0o777 == 0o755
    assert (usr / SKELETON / "etc/services").stat().st_mode & 0o777 == 0o644
