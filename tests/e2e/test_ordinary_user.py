"""All of Galley as an ordinary user; the other tests run as root.

Folders are shared over SFTP, which does not use subordinate ids; tests/contract/test_qemu_shares.py
tests virtiofs for an ordinary user.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.contract.conftest import guest_image
from tests.e2e import processes
from tests.e2e.galley import IMAGE, ROOT, Galley
from tests.ordinary_user import OrdinaryUser
from vm.host import process

USER = OrdinaryUser.id


@pytest.fixture
def galley(ordinary_user: OrdinaryUser) -> Iterator[Galley]:
    code = ordinary_user.show(ROOT, "code")
    python = ordinary_user.show(Path(sys.prefix), "python")
    ordinary_user.call("galley-of-ann", f"{python}/bin/python -m engine.cli")
    images = ordinary_user.folder / "images"  # the user's own copy: root's belong to root
    shutil.copytree(guest_image(), images / guest_image().name)
    made = Galley(ordinary_user.folder / "home", images, ["galley-of-ann"])
    made.env |= {"PYTHONPATH": str(code), "HOME": str(ordinary_user.folder)}
    for place in (made.home.root, images, *images.rglob("*")):
        os.chown(place, USER, USER)
    yield made
    made.remove()


@pytest.fixture
def folder(ordinary_user: OrdinaryUser) -> Path:
    made = ordinary_user.folder / "work"
    made.mkdir()
    (made / "roots").write_text("not yours")
    (made / "roots").chmod(0o600)
    os.chown(made, USER, USER)
    return made


def test_an_ordinary_user_can_share_run_suspend_and_stop(galley: Galley, folder: Path) -> None:
    galley.run("settings", "set", "shares", str(folder))
    galley.run("settings", "set", "share_by", "sftp")
    galley.start()
    assert [problem["summary"] for problem in galley.status()["problems"]] == []
    galley.load_image()
    run = ("run", "--rm", "--network=none", "-v", f"{folder}:/x", "-w", "/x")

    def container(user: str, script: str) -> str:
        words = (*run, "--user", user, IMAGE, "sh", "-c", f"{{ {script}; }} 2>&1")
        return galley.docker(*words, check=False).stdout.decode()

    assert container("0:0", "mkdir data; chown 999:998 data; chmod 700 data") == ""
    server = "cd data; umask 077; echo page > base; mv base main; cat main"
    assert container("999:998", server) == "page\n"
    for made in (folder / "data", folder / "data" / "main"):
        assert made.stat().st_uid == USER
    for anyone in ("0:0", "999:998"):
        assert "Permission denied" in container(anyone, "cat roots")
    check_that_all_is_the_users(galley)
    keeps = "umask 0333; exec 3> sealed; while true; do date >&3; usleep 50000; done"
    galley.docker(*("run", "-d", *run[2:]), "--name", "keeps", IMAGE, "sh", "-c", keeps)
    ends: tuple[Callable[[], object], ...] = (
        lambda: process.end(galley.supervisor_identity(), force=True),
        lambda: galley.run("suspend"),
    )
    for end in ends:
        galley.wait_for((folder / "sealed").exists, "the container writes to a read-only file")
        end()
        galley.start()
        size = (folder / "sealed").stat().st_size
        galley.wait_for(partial(is_larger, folder / "sealed", size), "the container writes on")
        assert (folder / "sealed").stat().st_mode & 0o777 == 0o444
    galley.docker("rm", "-f", "keeps")
    galley.run("stop")
    galley.start()
    assert container("999:998", "cat data/main") == "page\n"


def is_larger(file: Path, size: int) -> bool:
    return file.stat().st_size > size


def check_that_all_is_the_users(galley: Galley) -> None:
    ours = processes.belonging_to(str(galley.home.root))
    assert any("qemu-system" in line for line in ours.values())
    for pid, line in ours.items():
        assert psutil.Process(pid).uids().effective == USER, line
    for path in galley.home.root.rglob("*"):
        assert path.is_symlink() or path.stat().st_uid == USER, path
