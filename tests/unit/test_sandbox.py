"""What tests of mutants can change on the host, and what remains of them."""

import subprocess
from pathlib import Path

import pytest

from tests.sandbox import confined

MOUNTS = Path("/proc/self/mounts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def run(folder: Path, script: str) -> None:
    command = confined(folder, ["sh", "-ec", script])
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_only_the_folder_can_be_written_to(folder: Path) -> None:
    (folder.parent / "kept").write_text("kept")
    run(folder, "echo x > in; ! echo x > ../kept; ! rm ../kept; ! mkdir /galley-test")
    assert (folder / "in").read_text() == "x\n"
    assert (folder.parent / "kept").read_text() == "kept"
    assert not Path("/galley-test").exists()


def test_mounts_and_network_namespaces_end_with_the_command(folder: Path) -> None:
    run(folder, "mkdir m; mount -t tmpfs m m; touch m/x; ip netns add galley-sandbox; ip netns")
    assert list((folder / "m").iterdir()) == []
    assert str(folder) not in MOUNTS.read_text()
    assert not Path("/run/netns/galley-sandbox").exists()


def test_mounts_of_other_tests_are_not_held(folder: Path) -> None:
    """A test that cuts the power waits until no mount namespace has its file system."""
    place = folder.parent / "place"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "place", place], check=True)
    try:
        run(folder, f"! grep -F {place} {MOUNTS}")
    finally:
        subprocess.run(["umount", place], check=True)


def test_arguments_and_exit_code_are_passed_through(folder: Path) -> None:
    command = confined(folder, ["sh", "-c", 'echo "$@"; exit 7', "sh", "a b", "*"])
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (7, b"a b *\n")
