"""How the guest mounts shares, in a root of its own. Needs root."""

import shutil
import subprocess
from pathlib import Path

import pytest

from engine.guest.recipe import FILES

SHARES = FILES / "usr/lib/galley/shares"
APPLETS = ("sh", "sed", "tail", "mkdir", "mount", "rmdir", "rm", "sleep", "touch")
# As the initramfs leaves it; then the script itself, and what dockerd would do.
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
    """A guest's, as far as the script needs one. Each share is of another kind of file system."""
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


def test_nothing_can_be_made_where_the_hosts_folders_would_be(root: Path, tmp_path: Path) -> None:
    """Neither where none is, nor where one could not be mounted, nor beside one."""
    (tmp_path / "mounted").mkdir()
    words = ["unshare", "--mount", "sh", "-c", WORK, "sh", str(tmp_path / "mounted"), str(root)]
    said = subprocess.run(words, capture_output=True, check=True, timeout=60).stdout.decode()
    done = [line for line in said.splitlines() if not line.startswith("mkdir: ")]
    assert done[:3] == ["/etc/x", "/run/x", "written"]
    assert "galley: share share1 failed: mount: mounting share1 on /home/ann failed" in done[3]
    assert len(done) == 4
    refused = [line for line in said.splitlines() if line.startswith("mkdir: ")]
    assert len(refused) == 7
    assert "'/home/ann': Read-only file system" in refused[2], "what is not mounted is not there"


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


def test_what_the_host_cannot_leave_out_is_covered(root: Path) -> None:
    """Where its share is not mounted, there is nothing to cover."""
    words = "galley.cover=/srv/galley%20keys galley.cover=/home/ann/keys"
    (root / "run/galley/words").write_text(f"{words}\n")
    run = ["unshare", "--mount", "sh", "-c", COVERS, "sh", str(root)]
    said = subprocess.run(run, capture_output=True, check=True, timeout=60).stdout.decode()
    assert "can't open '/srv/galley keys/machine/key': No such file" in said
    assert "/srv/galley keys/new: Read-only file system" in said
    assert "cannot be covered" not in said
