"""The system's temporary folders are shared by default, with the user's own files only. Galley's
home, which in these tests is in one, stays hidden.
"""

import os
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley

AGAIN = """mkdir /y /z; umount /x/home; cat /x/home/machine/id_ed25519
for tag in share0 share1; do
  mount -t virtiofs $tag /y 2> /dev/null && cat /y{key} && cat /z{key}
  mount -o bind /y /z 2> /dev/null && cat /z{key}
done"""

pytestmark = pytest.mark.usefixtures("no_containers")


def run(galley: Galley, folder: Path, script: str, *more: str) -> tuple[str, str]:
    """Runs a script in a container that has `folder` as /x; returns stdout and stderr."""
    bind = ("run", "--rm", "-v", f"{folder}:/x", *more, IMAGE)
    link = "busybox ln -s busybox /bin/$name"
    programs = f"for name in ls mkdir mount touch umount; do {link}; done"
    done = galley.docker(*bind, "sh", "-c", f"{programs}; {script}", check=False)
    return done.stdout.decode(), done.stderr.decode()


def test_a_temporary_folder_is_shared_with_this_computer(galley: Galley, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("here")
    assert run(galley, tmp_path, "cat /x/here; echo there > /x/there")[0] == "here"
    assert (tmp_path / "there").read_text() == "there\n"


def test_another_users_folder_is_refused(galley: Galley) -> None:
    theirs = Path(f"/tmp/galley-test-{os.getpid()}")
    theirs.mkdir()
    try:
        os.chown(theirs, 12345, 12345)
        stderr = run(galley, theirs, "echo")[1]
    finally:
        theirs.rmdir()
    assert f"The folder {theirs} is not shared" in stderr
    assert "belongs to another user" in stderr


def test_galleys_own_files_are_not_visible_in_a_container(galley: Galley) -> None:
    """Not even in a privileged one: they are not shared with the machine at all."""
    home = galley.home.root
    key = galley.machine.key
    assert "keys" in run(galley, key.parent, "echo")[1]
    script = "ls -A /x/home; cat /x/home/machine/id_ed25519; touch /x/home/new"
    stdout, stderr = run(galley, home.parent, script)
    assert stdout == ""
    assert stderr.count("No such file or directory") == 1
    assert stderr.count("Read-only file system") == 1
    inside = key.relative_to("/tmp")
    stdout, stderr = run(galley, home.parent, AGAIN.replace("{key}", f"/{inside}"), "--privileged")
    assert "PRIVATE KEY" not in stdout
    assert "PRIVATE KEY" in key.read_text()
