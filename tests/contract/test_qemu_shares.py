"""Shares of an ordinary user: the user's rights on the host, root's rights in the machine.

Other ids in a container are mapped to the user's subordinate ids on the host.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.capability import have
from tests.contract.conftest import Bench, guest_image
from tests.e2e.galley import IMAGE, busybox_tar
from tests.ordinary_user import OrdinaryUser
from vm.backends import choose
from vm.backends.qemu.shares import virtiofsd
from vm.backends.qemu.shares.virtiofsd import Rights
from vm.directory import MachineDir
from vm.host.paths import find_home, make_home
from vm.lifecycle.steps import Patience
from vm.types import MachineSpec, Share

pytestmark = pytest.mark.vm
USER = OrdinaryUser.id
USERS, GROUPS = 200000, 300000  # the first subordinate ids
# What a database server does with a folder that root has handed to it.
SERVER = """
cd data
mkdir base && echo 16 > PG_VERSION && chmod 600 PG_VERSION
echo page > base/1 && sync && mv base/1 base/2 && ln base/2 base/3
cat PG_VERSION base/3
stat -c "%u %g %a" . PG_VERSION base
"""


class Guest:
    """Runs commands in the user's shared folder, in the machine and in containers (as /x)."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._run, self.folder = bench.machine.guest.run, folder
        assert self._run(("docker", "import", "-", IMAGE), stdin=busybox_tar()).ok

    def shell(self, script: str) -> str:
        words = ("sh", "-c", f"cd '{self.folder}' && {{ {script}; }} 2>&1")
        return self._run(words).stdout.decode()

    def container(self, user: str, script: str) -> str:
        """The output of a script in a container as `user` ("uid:gid"), without other rights."""
        run = ("docker", "run", "--rm", "--network=none", "--user", user)
        words = ("-v", f"{self.folder}:/x", "-w", "/x", IMAGE, "sh", "-c")
        done = self._run((*run, *words, f"{{ {script}\n}} 2>&1"))
        return done.stdout.decode() + done.stderr.decode()


@pytest.fixture
def folder(ordinary_user: OrdinaryUser) -> Path:
    made = ordinary_user.folder / "of the user"
    (made / "everybodys").mkdir(parents=True)
    (made / "private").write_text("mine\n")
    (made / "roots").write_text("not yours")
    for file in (made / "private", made / "roots"):
        file.chmod(0o600)
    for path in (made, made / "private", made / "everybodys"):
        os.chown(path, USER, USER)
    (made / "everybodys").chmod(0o777)
    return made


@pytest.fixture
def start(
    ordinary_user: OrdinaryUser, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Guest]]:
    """Starts a machine whose virtiofsd runs as the user, and QEMU as root."""
    image = str(guest_image())  # before GALLEY_HOME changes
    monkeypatch.setenv("GALLEY_HOME", str(ordinary_user.folder / "home"))
    home = make_home(find_home())
    for path in (home.root, home.run):
        os.chown(path, USER, USER)
    bench = Bench(choose("qemu"), MachineDir.of(home), image)
    ordinary_user.run_as("unshare")  # unshare starts virtiofsd
    rights = virtiofsd.rights

    def users_rights() -> Rights:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getuid", lambda: USER)
            patch.setattr(os, "getgid", lambda: USER)
            return rights()

    monkeypatch.setattr(virtiofsd, "rights", users_rights)

    def started(id_offset: int = 0) -> Guest:
        def prepare(wait: Patience, note: object) -> MachineSpec:
            # One CPU would be busy with dockerd's start while sshd is to answer in time.
            spec = msgspec.structs.replace(bench.spec(), cpus=2, id_offset=id_offset)
            return msgspec.structs.replace(spec, shares=(Share(str(folder), str(folder)),))

        bench.open().start(prepare)
        return Guest(bench, folder)

    yield started
    bench.clean_up()


def test_files_of_a_container_user_get_subordinate_ids(
    ordinary_user: OrdinaryUser, start: Callable[[], Guest], folder: Path
) -> None:
    ordinary_user.lend(USERS, GROUPS)
    guest = start()
    check_that_roots_files_become_the_users(guest)
    assert guest.container("0:0", "mkdir data; chown 999:998 data; chmod 700 data") == ""
    assert guest.container("999:998", SERVER).splitlines() == [
        *("16", "page", "999 998 700", "999 998 600", "999 998 755")
    ]
    for name in ("data", "data/PG_VERSION", "data/base/2"):
        owner = (folder / name).stat()
        assert (owner.st_uid, owner.st_gid) == (USERS + 998, GROUPS + 997)
    assert (folder / "data/base/3").read_text() == "page\n"
    for stranger in ("5:5", f"{USER}:{USER}"):
        assert "Permission denied" in guest.container(stranger, "cat data/PG_VERSION")
    assert "Permission denied" in guest.container("999:998", "cat private")


def test_containers_with_a_user_namespace_have_the_same_owners(
    ordinary_user: OrdinaryUser, start: Callable[..., Guest], folder: Path
) -> None:
    ordinary_user.lend(USERS, GROUPS)
    guest = start(1_000_000)
    output = guest.container("0:0", "cat /proc/self/uid_map; cat private; echo 2 >> private")
    assert output.split() == ["0", "1000000", "65536", "mine"]
    mine = guest.container(f"{USER}:{USER}", "cat private; echo new > new; stat -c '%u %g' new")
    assert mine == f"mine\n2\n{USER} {USER}\n"
    assert guest.container("0:0", "mkdir data; chown 999:998 data; chmod 700 data") == ""
    assert guest.container("999:998", SERVER).splitlines() == [
        *("16", "page", "999 998 700", "999 998 600", "999 998 755")
    ]
    for name in ("data", "data/PG_VERSION", "data/base/2"):
        owner = (folder / name).stat()
        assert (owner.st_uid, owner.st_gid) == (USERS + 998, GROUPS + 997)
    for name in ("private", "new"):
        assert ((folder / name).stat().st_uid, (folder / name).stat().st_gid) == (USER, USER)
    assert "Permission denied" in guest.container("5:5", "cat private")
    assert "Permission denied" in guest.container("0:0", "cat roots")


def test_the_users_own_id_and_unmapped_ids_become_the_user(
    ordinary_user: OrdinaryUser, start: Callable[[], Guest], folder: Path
) -> None:
    ordinary_user.lend(USERS, GROUPS)
    guest = start()
    mine = guest.container(f"{USER}:{USER}", "echo more >> private; echo new > new; cat private")
    assert mine == "mine\nmore\n"
    assert guest.container("70000:70000", "touch everybodys/made") == ""
    assert guest.container("0:0", "chown 70000:70000 new") == ""
    for name in ("private", "new", "everybodys/made"):
        assert ((folder / name).stat().st_uid, (folder / name).stat().st_gid) == (USER, USER)
    assert guest.shell("stat -c '%u %g' new") == f"{USER} {USER}\n"


def test_without_subordinate_ids_every_file_is_the_users(
    start: Callable[[], Guest], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = start()
    check_that_roots_files_become_the_users(guest)
    assert guest.container("0:0", "mkdir data; chown 999:998 data; chmod 700 data") == ""
    assert (folder / "data").stat().st_uid == USER
    assert "Permission denied" in guest.container("999:998", SERVER)
    monkeypatch.setattr(os, "getuid", lambda: USER)
    problem = have(choose("qemu").explains).why_only_root_writes("auto")
    assert problem is not None
    assert "not run as root" in problem.summary


@pytest.mark.parametrize("by", ["this computer", "the guest"])
def test_galleys_own_files_are_hidden(
    start: Callable[[], Guest], folder: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """The guest hides them if the user may not create a namespace on the host."""
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    (folder / "galley").mkdir()
    (folder / "galley" / "key").write_text("secret")
    os.chown(folder / "galley", USER, USER)
    if by == "the guest":
        monkeypatch.setattr(virtiofsd, "can_cover", lambda: False)
        monkeypatch.setattr(virtiofsd, "_forbids_namespaces", lambda: "a.setting")
    output = start().container("0:0", "ls -A galley; cat galley/key; echo 1 > galley/new")
    assert "secret" not in output
    assert "galley/key': No such file" in output
    assert "galley/new: Read-only file system" in output
    assert (folder / "galley" / "key").read_text() == "secret"


def check_that_roots_files_become_the_users(guest: Guest) -> None:
    shared = guest.folder
    assert guest.shell("stat -c '%u %g %a' . private; cat private") == (
        f"{USER} {USER} 755\n{USER} {USER} 600\nmine\n"
    )
    assert guest.shell("echo 1 > made; mkdir -m 711 folder; echo 2 >> private") == ""
    for name in ("made", "folder"):
        assert ((shared / name).stat().st_uid, (shared / name).stat().st_gid) == (USER, USER)
    assert (shared / "private").read_text() == "mine\n2\n"
    (shared / "private").write_text("mine\n")
    assert "Permission denied" in guest.shell("cat roots")
    assert "Permission denied" in guest.shell("echo no > roots")
    assert (shared / "roots").read_text() == "not yours"
    assert guest.shell("rm roots") == ""  # the folder is the user's
