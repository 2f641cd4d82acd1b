"""The command line of virtiofsd, and the end of its processes. Needs virtiofsd: `./dev test`."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.other_user import process_of_other
from vm.backends.qemu.shares import virtiofsd
from vm.backends.qemu.shares.virtiofsd import Rights
from vm.directory import MachineDir
from vm.errors import HostError, ToolMissing
from vm.host import process
from vm.host.lent_ids import LentIds, Range
from vm.types import Share


@pytest.fixture
def directory() -> Iterator[MachineDir]:
    """With a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="gv") as made:
        directory = MachineDir(Path(made), Path(made), Path(made))
        yield directory
        virtiofsd.sweep(directory)


def share(path: Path | str, read_only: bool = False) -> Share:
    return Share(str(path), str(path), read_only)


def serving(directory: MachineDir) -> list[list[str]]:
    lines = (one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"]))
    return [line for line in lines if str(directory.run) in " ".join(line)]


def test_root_keeps_owners_and_an_ordinary_user_owns_new_files() -> None:
    socket = Path("/run/g/share0.sock")
    root = virtiofsd.options(share("/home/a,b", True), socket, Rights(0, 0))
    assert root[:2] == ["--shared-dir=/home/a,b", "--socket-path=/run/g/share0.sock"]
    assert "--readonly" in root
    assert not any("translate" in word for word in root)
    user = virtiofsd.options(share("/home/ann"), socket, Rights(1000, 100))
    assert "--readonly" not in user
    assert user[4:] == [
        *("--translate-uid=squash-guest:0:0:4294967295", "--translate-uid=host:0:1000:1"),
        *("--translate-gid=squash-guest:0:0:4294967295", "--translate-gid=host:0:100:1"),
    ]
    without_namespace = virtiofsd.options(share("/home/ann"), socket, Rights(1000, 100, False))
    assert without_namespace[4:] == [
        "--sandbox=none",
        "--translate-uid=squash-guest:0:1000:4294967295",
        "--translate-gid=squash-guest:0:100:4294967295",
    ]


def test_guest_users_other_than_root_get_subordinate_ids() -> None:
    lent = LentIds(
        (Range(0, 1000, 1), Range(1, 200000, 65535)), (Range(0, 70000, 1), Range(1, 300000, 65535))
    )
    rights = Rights(1000, 70000, True, lent)
    above = "squash-guest:65536:0:4294901759"
    assert virtiofsd.options(share("/home/ann"), Path("/s"), rights)[4:] == [
        *("--translate-uid=squash-guest:1000:0:1", f"--translate-uid={above}"),
        "--translate-uid=host:0:1000:1",
        # The gid 70000 is in the range above, so it needs no rule of its own.
        *(f"--translate-gid={above}", "--translate-gid=host:0:70000:1"),
    ]


def translations(rights: Rights) -> list[str]:
    """The mapping of user ids with an offset of a million."""
    words = virtiofsd.options(share("/home/ann"), Path("/s"), rights, id_offset=1_000_000)
    prefix = "--translate-uid="
    return [word.removeprefix(prefix) for word in words if word.startswith(prefix)]


def test_containers_with_a_user_namespace_get_the_same_owners() -> None:
    assert translations(Rights(0, 0)) == ["guest:1000000:0:65536", "host:0:1000000:65536"]
    lent = LentIds((Range(0, 1000, 1), Range(1, 200000, 65536)), ())
    assert translations(Rights(1000, 1000, True, lent)) == [
        *("squash-guest:1000:0:1", "squash-guest:65536:0:934464"),
        *("squash-guest:1001000:0:1", "squash-guest:1065536:0:4293901759"),
        "host:0:1001000:1",
        *("guest:1000000:0:1000", "guest:1001001:1001:64535", "host:1:1000001:65535"),
    ]


def test_without_subordinate_ids_containers_with_a_user_namespace_are_the_user() -> None:
    assert translations(Rights(1000, 1000)) == [
        *("squash-guest:0:0:1000000", "squash-guest:1000000:0:4293967295", "host:0:1001000:1")
    ]
    without_namespace = Rights(1000, 1000, False)
    assert translations(without_namespace) == [
        "squash-guest:0:1000:4294967295",
        "host:1000:1001000:1",
    ]


def test_an_owner_with_a_large_id_is_the_root_of_a_container_with_a_user_namespace() -> None:
    lent = LentIds((Range(0, 70000, 1), Range(1, 200000, 2)), ())
    assert translations(Rights(70000, 70000, True, lent))[2:] == [
        *("host:0:1000000:1", "guest:1000000:0:3", "host:1:1000001:2")
    ]


def test_a_namespace_maps_the_ids_and_covers_private_folders() -> None:
    lent = LentIds((Range(0, 1000, 1),), (Range(0, 1000, 1),))
    view, private = Path("/run/g/share0"), ("/home/ann/a/galley",)

    def namespace_prefix(rights: Rights, covered: tuple[str, ...] = ()) -> list[str]:
        return virtiofsd.namespace_prefix(rights, "/home/ann", view, covered)

    assert namespace_prefix(Rights(0, 0)) == []
    assert namespace_prefix(Rights(1000, 1000, False), private) == []
    root = namespace_prefix(Rights(0, 0), private)
    assert root[:3] == ["unshare", "--mount", "sh"]
    assert root[-5:] == ["sh", "/home/ann", "/run/g/share0", "/run/g/share0/a/galley", "--"]
    assert namespace_prefix(Rights(1000, 1000))[:3] == ["unshare", "--map-root-user", "--mount"]
    with_subordinate_ids = namespace_prefix(Rights(1000, 1000, True, lent))
    assert with_subordinate_ids[:4] == ["unshare", "--map-root-user", "--map-auto", "--mount"]
    with_view = virtiofsd.options(share("/home/ann"), Path("/s"), Rights(0, 0), view)
    assert with_view[0] == "--shared-dir=/run/g/share0"


def seen_by(directory: MachineDir, name: str) -> set[tuple[str, ...]]:
    """Lists the folder as each process sees it that already has the share as its root."""
    roots = [Path(f"/proc/{one.pid}/root") for one in virtiofsd.of(directory)]
    return {tuple(os.listdir(root / name)) for root in roots if (root / "beside").exists()}


def test_galleys_own_folders_are_covered_in_a_share(tmp_path: Path) -> None:
    """Checked through the root of the serving process, which is the shared folder."""
    with tempfile.TemporaryDirectory(prefix="gv") as made:
        home = Path(made, "its home")
        (home / "machine").mkdir(parents=True)
        (home / "machine" / "key").write_text("secret")
        Path(made, "beside").touch()
        directory = MachineDir(home / "machine", tmp_path, home / "run")
        directory.run.mkdir()
        (tmp_path / "backend.log").touch()
        try:
            assert virtiofsd.serve(directory, (share(made),)) == (share(made),)
            until = time.monotonic() + 20
            while not (seen := seen_by(directory, "its home")):
                assert time.monotonic() < until, "no process has the folder as its root"
        finally:
            virtiofsd.sweep(directory)
        assert seen == {()}
        assert (home / "machine" / "key").read_text() == "secret", "the host still sees it"


def test_a_kernel_that_forbids_namespaces_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "setting").write_text("1\n")
    monkeypatch.setattr(virtiofsd, "NAMESPACES", {str(tmp_path / "setting"): "1"})
    with pytest.raises(HostError, match="virtiofsd cannot create files") as refused:
        virtiofsd.lent()
    assert "setting" in refused.value.hint


def test_a_missing_virtiofsd_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(virtiofsd, "PLACES", ())
    with pytest.raises(ToolMissing) as missing:
        virtiofsd.find()
    assert "apt-get install virtiofsd" in missing.value.hint


def test_each_folder_is_served_and_sweep_leaves_no_process(
    directory: MachineDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned: list[int] = []
    spawn_detached = process.spawn_detached

    def spawn(*arguments: Any, **options: Any) -> process.Identity:
        identity = spawn_detached(*arguments, **options)
        spawned.append(identity.pid)
        return identity

    monkeypatch.setattr(process, "spawn_detached", spawn)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shares = (share(tmp_path / "a"), share(tmp_path / "gone"), share(tmp_path / "b", True))
    served = virtiofsd.serve(directory, shares)
    assert served == (shares[0], shares[2])
    for number in range(2):
        socket = directory.share_socket(number)
        assert socket.is_socket()
        assert socket.stat().st_mode & 0o077 == 0
    assert serving(directory)
    virtiofsd.sweep(directory)
    assert not serving(directory)
    assert not list(directory.run.glob("share*"))
    # No zombies either. init reaps the children of virtiofsd; in a container it may be this test.
    assert len(spawned) == 3 + 2, "all are started again without the missing folder"
    assert not [pid for pid in spawned if psutil.pid_exists(pid)]


def test_a_process_of_another_user_is_ignored(directory: MachineDir) -> None:
    socket = directory.share_socket(0)
    socket.touch()
    directory.root.chmod(0o755)
    with process_of_other(directory.root, "virtiofsd", [f"--socket-path={socket}"]) as pid:
        assert not virtiofsd.serving(directory)
        virtiofsd.sweep(directory)
        assert psutil.pid_exists(pid)
    assert not socket.exists()
