"""How the guest mounts shares, in its own root file system. Needs root."""

import shutil
import subprocess
from pathlib import Path

import pytest

from engine.guest.recipe import FILES

SHARES = FILES / "usr/lib/galley/shares"
APPLETS = ("sh", "sed", "tail", "mkdir", "mount", "rmdir", "rm", "sleep", "touch")
# The root as the initramfs leaves it; then the script, and what dockerd would do.
WORK = """
set -e
mount -t tmpfs root "$1"
cp -a "$2/." "$1"
for own in etc run; do mount -o bind "$1/$own" "$1/$own"; done
mount -t proc proc "$1/proc"
exec chroot "$1" sh -c '
sh /usr/lib/galley/shares
for path in /data /home /home/ann /home/bob/x /srv/x /tmp/x /var/www /etc/x /run/x; do
  mkdir $path && echo $path
done
touch /srv/data/inner/file && echo written
cat /dev/console' 2>&1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A guest's root, as far as the script needs it. Each share has another file system type."""
    root = tmp_path / "root"
    for name in ("bin", "dev", "etc", "proc", "run/galley", "srv", "tmp", "usr/lib/galley", "var"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox, "install busybox-static"
    shutil.copy(busybox, root / "bin/busybox")
    for name in (*APPLETS, "cat"):
        (root / "bin" / name).symlink_to("busybox")
    for name in ("shares", "prelude"):
        shutil.copy(SHARES.with_name(name), root / "usr/lib/galley")
    words = (
        "galley.share=share0,tmpfs,rw,/srv/data%2Finner galley.share=share1,nothing,rw,/home/ann"
    )
    (root / "run/galley/words").write_text(f"{words}\n")
    return root


def test_nothing_can_be_created_where_host_folders_would_be(root: Path, tmp_path: Path) -> None:
    """Neither without a share, nor where a mount failed, nor beside a mounted share."""
    (tmp_path / "mounted").mkdir()
    words = ["unshare", "--mount", "sh", "-c", WORK, "sh", str(tmp_path / "mounted"), str(root)]
    output = subprocess.run(words, capture_output=True, check=True, timeout=60).stdout.decode()
    done = [line for line in output.splitlines() if not line.startswith("mkdir: ")]
    assert done[:3] == ["/etc/x", "/run/x", "written"]
    assert "galley: share share1 failed: mount: mounting share1 on /home/ann failed" in done[3]
    assert len(done) == 4
    refused = [line for line in output.splitlines() if line.startswith("mkdir: ")]
    assert len(refused) == 7
    assert "'/home/ann': Read-only file system" in refused[2], (
        "a share that is not mounted has no folder"
    )


COVERS = """
set -e
mount -o bind "$1" "$1"
mount -t tmpfs keys "$1/srv"
mkdir -p "$1/srv/galley keys/machine"
echo secret > "$1/srv/galley keys/machine/key"
mount -t proc proc "$1/proc"
exec chroot "$1" sh -c '
sh /usr/lib/galley/shares
cat "/srv/galley keys/machine/key"
touch "/srv/galley keys/new" || cat /dev/console || true' 2>&1
"""


def test_a_folder_that_the_host_cannot_leave_out_is_covered(root: Path) -> None:
    """A folder whose share is not mounted needs no cover."""
    words = "galley.cover=/srv/galley%20keys galley.cover=/home/ann/keys"
    (root / "run/galley/words").write_text(f"{words}\n")
    run = ["unshare", "--mount", "sh", "-c", COVERS, "sh", str(root)]
    output = subprocess.run(run, capture_output=True, check=True, timeout=60).stdout.decode()
    assert "can't open '/srv/galley keys/machine/key': No such file" in output
    assert "/srv/galley keys/new: Read-only file system" in output
    assert "cannot be covered" not in output
