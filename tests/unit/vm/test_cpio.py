"""The archive that the kernel unpacks, here unpacked by busybox; each boot shows that Linux can."""

import subprocess
from pathlib import Path

from vm.cpio import CpioEntry, cpio

FOLDER, FILE = CpioEntry("d", 0o040755), CpioEntry("d/file", 0o100640, b"12345")
LINK, EMPTY = CpioEntry("d/link", 0o120777, b"file"), CpioEntry("d/a longer name", 0o100755)


def test_busybox_unpacks_an_archive(tmp_path: Path) -> None:
    made = cpio([FOLDER, FILE, LINK, EMPTY])
    done = subprocess.run(["busybox", "cpio", "-i"], cwd=tmp_path, input=made, capture_output=True)
    assert done.returncode == 0, done.stderr
    modes = {str(path.relative_to(tmp_path)): path.lstat().st_mode for path in tmp_path.rglob("*")}
    assert modes == {entry.name: entry.mode for entry in (FOLDER, FILE, LINK, EMPTY)}
    assert (tmp_path / "d/link").readlink() == Path("file")
    assert (tmp_path / "d/link").read_bytes() == b"12345"


def test_an_archive_is_reproducible_and_can_be_followed_by_another() -> None:
    assert cpio([FOLDER, FILE]) == cpio([FOLDER, FILE])
    assert len(cpio([FOLDER, FILE])) % 4 == 0


def test_a_record_begins_with_its_inode_mode_links_and_sizes() -> None:
    """Each is eight hexadecimal digits; times, owners and devices are 0."""
    record = cpio([FILE])[: 6 + 13 * 8 + 7]
    fields = ("1", "81A0", "0", "0", "1", "0", "5", "0", "0", "0", "0", "7", "0")
    assert (
        record.decode() == "070701" + "".join(field.rjust(8, "0") for field in fields) + "d/file\0"
    )
