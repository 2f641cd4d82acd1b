"""Shares of an ordinary user: the user's rights on this side, root's on the other."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.contract.conftest import Bench, guest_image
from vm.backend import choose
from vm.backends.qemu import virtiofsd
from vm.boot import Patience
from vm.directory import MachineDir
from vm.host.paths import find_home, make_home
from vm.types import MachineSpec, Share

pytestmark = pytest.mark.vm
USER = 4322  # nobody has to be called so


@pytest.fixture
def folder() -> Iterator[Path]:
    """Which the user may enter, as pytest's own folders are not."""
    made = Path(tempfile.mkdtemp(prefix="gs"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def as_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let virtiofsd be run by the user; the tests themselves are root's."""
    assert os.getuid() == 0, "only root can be another user: run the tests as root"
    program = folder / "virtiofsd"
    become = f"setpriv --reuid {USER} --regid {USER} --clear-groups"
    program.write_text(f'#!/bin/sh\nexec {become} {virtiofsd.find()} "$@"\n')
    program.chmod(0o755)
    plain = virtiofsd.options

    def options(share: Share, socket: Path, uid: int, gid: int, may_unshare: bool) -> list[str]:
        return plain(share, socket, USER, USER, may_unshare)

    monkeypatch.setattr(virtiofsd, "find", lambda: program)
    monkeypatch.setattr(virtiofsd, "options", options)


@pytest.fixture
def shared(folder: Path) -> Path:
    made = folder / "of the user"
    made.mkdir()
    (made / "private").write_text("mine")
    (made / "private").chmod(0o600)
    (made / "roots").write_text("not yours")
    (made / "roots").chmod(0o600)
    for path in (made, made / "private"):
        os.chown(path, USER, USER)
    return made


@pytest.fixture
def bench(folder: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("GALLEY_HOME", str(folder / "home"))
    home = make_home(find_home())
    for path in (home.root, home.run):
        os.chown(path, USER, USER)
    bench = Bench(choose("qemu"), MachineDir.of(home), str(guest_image()))

    def prepare(wait: Patience, note: object) -> MachineSpec:
        share = Share(str(shared), str(shared))
        return msgspec.structs.replace(bench.spec(), shares=(share,))

    bench.open().start(prepare)
    yield bench
    bench.clean_up()


def test_what_containers_make_is_the_users(as_user: None, bench: Bench, shared: Path) -> None:
    def there(script: str) -> str:
        done = bench.machine.guest.run(("sh", "-c", f"cd '{shared}' && {{ {script}; }} 2>&1"))
        return done.stdout.decode()

    assert there("stat -c '%u %g %a' . private; cat private") == (
        f"{USER} {USER} 755\n{USER} {USER} 600\nmine"
    )
    assert there("echo 1 > made; mkdir -m 711 folder; chown 999:998 made; echo 2 >> private") == ""
    for name in ("made", "folder"):
        assert ((shared / name).stat().st_uid, (shared / name).stat().st_gid) == (USER, USER)
    assert (shared / "private").read_text() == "mine2\n"
    assert "Permission denied" in there("cat roots")
    assert "Permission denied" in there("echo no > roots")
    assert (shared / "roots").read_text() == "not yours"
    assert there("rm roots") == ""  # the folder is the user's
