"""The libraries that a program needs, and reading files of unpacked packages."""

import io
import tarfile
from pathlib import Path

import pytest

from engine.guest.archive import PackageTree, needed_libraries
from tests.unit.engine.guest.elves import program
from vm.errors import HostError


def test_the_libraries_of_a_program() -> None:
    elf = program("/lib64/ld-linux-x86-64.so.2", ["libc.so.6", "libm.so.6"])
    assert needed_libraries(elf) == ("usr/lib64/ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6")
    assert needed_libraries(b"#!/bin/sh\n") == ()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "packages.tar"
    with tarfile.open(path, "w") as tar:
        for name, mode, data in (
            ("./usr/bin/tool", 0o755, b"tool"),
            ("./lib/old-style", 0o644, b"merged"),
        ):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, target in (("./usr/sbin/link", "../bin/tool"), ("./usr/bin/up", "/bin/tool")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return path


def test_packages_are_read_by_path(tree: Path) -> None:
    with PackageTree(tree) as packages:
        assert packages.read("usr/bin/tool") == b"tool"
        assert packages.is_executable("usr/bin/tool")
        assert packages.read("usr/lib/old-style") == b"merged"
        assert packages.target("usr/sbin/link") == "usr/bin/tool"
        assert packages.target("usr/bin/up") == "usr/bin/tool"
        assert packages.target("usr/bin/tool") is None
        assert packages.names("usr/bin/*") == ["usr/bin/tool", "usr/bin/up"]
        with pytest.raises(HostError, match="usr/bin/absent"):
            packages.read("usr/bin/absent")
