"""Which folders may be shared, and how a list of them is parsed and reduced."""

import os
import sys
import tempfile
import threading
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.guest import recipe
from engine.ports.published_spec import Container, InspectedContainer, InspectedHostConfig, Mount
from engine.settings import share_paths
from engine.settings.schema import schema
from engine.settings.setting import GIB, HostSize, Kind, Setting
from engine.settings.store import SettingsStore
from engine.shares.binds import resolve
from engine.shares.shared_folders import SharedFolders
from tests.ordinary_user import OrdinaryUser
from vm.backends.fake import FakeBackend, FakeShares
from vm.capabilities import Explains, Forget, Lost
from vm.directory import MachineDir
from vm.errors import HostError, NotShared, Problem, SettingsError, ToolMissing
from vm.host import private_folders, process
from vm.host.paths import Home
from vm.messages import Message
from vm.types import Share

HOST = HostSize(4, 16 * GIB)


@pytest.fixture
def setting() -> Setting:
    return next(setting for setting in schema(HOST) if setting.name == "shares")


@pytest.fixture
def store(home: Home) -> SettingsStore:
    return SettingsStore(home, HOST)


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ("~", ("~",)),
        ("~, /data/,/data ,", ("~", "/data")),
        ("/a,b\n", ("/a,b",)),
        ("~/x\n/a,b\n", ("~/x", "/a,b")),
        ("", ()),
        ([], ()),
        (["/a", "/\u96ea b"], ("/a", "/\u96ea b")),
        ("/", ("/",)),
    ],
)
def test_a_list_of_folders_is_parsed(
    setting: Setting, given: object, paths: tuple[str, ...]
) -> None:
    assert setting.parse(given) == paths
    assert setting.parse(setting.text(paths)) == paths


@pytest.mark.parametrize("given", ["data", "~ann/x", 3, True, [1], ["/a\nb"], ["/a\0b"], {"a": 1}])
def test_an_invalid_list_is_refused(setting: Setting, given: object) -> None:
    with pytest.raises(SettingsError, match="folders such as"):
        setting.parse(given)


def test_folders_of_the_guest_image_are_the_guests_own() -> None:
    free = {"home", "mnt", "opt", "root", "srv", "tmp"}  # empty in the image: for users' files
    for name in {*recipe.DIRECTORIES, *recipe.SKELETON_LINKS} - free:
        assert share_paths.is_guests(f"/{name}"), name
    for name in free:
        assert not share_paths.is_guests(f"/{name}"), name
    assert share_paths.is_guests("/")
    assert share_paths.is_guests("/var")
    assert not share_paths.is_guests("/var/www")


def test_the_home_and_what_is_temporary_are_shared_by_default(
    store: SettingsStore, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name, others in ((tmp_path, (str(tmp_path),)), ("/var/tmp", ()), ("/tmp", ())):
        monkeypatch.setenv("TMPDIR", str(name))
        assert set(store.load().shares) == {"~", os.path.realpath("/tmp"), *others}
        tempfile.tempdir = None
    home.settings.write_text("shares = ['~']\n")
    assert store.load().shares == ("~",), "a list in the file replaces the default"


def test_galleys_private_folders_cannot_be_shared(store: SettingsStore, home: Home) -> None:
    (home.root / "machine").mkdir(exist_ok=True)
    for path in (home.root, home.root / "machine"):
        with pytest.raises(SettingsError, match="keys and sockets"):
            store.set("shares", str(path))
        found, problems = share_paths.wanted([str(path)], [], private_folders.of(home))
        assert found == ()
        assert [problem.kind for problem in problems] == ["SettingsError"]


def test_the_error_names_why_a_folder_cannot_be_shared(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cases = {
        tmp_path / "none": "it does not exist",
        tmp_path / "file": "it is a file",
        Path("/"): "the machine uses this path itself",
        Path("/usr/share"): "the machine uses this path itself",
        Path("/var"): "the machine uses this path itself",
    }
    for path, reason in cases.items():
        with pytest.raises(SettingsError) as refused:
            share_paths.check(str(path))
        assert refused.value.summary == f"The folder {path} cannot be shared: {reason}."
        assert refused.value.hint


# Drops root after its imports, because the user may not be able to read the source.
AS_USER = """
import os, sys
from engine.settings import share_paths
from vm.backends.qemu.shares.folders import readable
from vm.errors import GalleyError
from vm.types import Share
uid, *folders = sys.argv[1:]
os.setgroups([])
os.setresgid(int(uid), int(uid), int(uid))
os.setresuid(int(uid), int(uid), int(uid))
for folder in folders:
    try:
        share_paths.check(folder)
        print("shared", len(readable((Share(folder, folder),))))
    except GalleyError as error:
        print(error.summary.removeprefix(f"The folder {folder} "), error.hint)
"""


def test_a_folder_without_read_permission_cannot_be_shared(ordinary_user: OrdinaryUser) -> None:
    """Root may read everything, so the check runs as another user."""
    folders: list[Path] = []
    for name, mode in (("open", 0o755), ("enter", 0o711), ("read", 0o744), ("shut", 0o700)):
        folders.append(ordinary_user.folder / name)
        folders[-1].mkdir()
        folders[-1].chmod(mode)
    folders.append(ordinary_user.folder / "shut" / "inner")
    folders[-1].mkdir()
    words = (sys.executable, "-c", AS_USER, str(ordinary_user.id), *map(str, folders))
    done = process.run(words, env={"PYTHONPATH": str(Path(share_paths.__file__).parents[2])})
    refused = (
        "cannot be shared: you have no permission to read it. Change its permissions, or leave it "
        "out."
    )
    assert done.stdout.decode().splitlines() == ["shared 1", *[refused] * 4], done.tail()


def test_symlinks_and_the_tilde_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert share_paths.check("~/link") == str(tmp_path / "real")


def test_outer_folders_come_first_and_redundant_ones_are_dropped(tmp_path: Path) -> None:
    names = ["a", "a/b", "a/b/c", "a/b/c/d", "e"]
    for name in names:
        (tmp_path / name).mkdir()
    full = [str(tmp_path / name) for name in names]
    a, b, c, d, e = full
    assert share_paths.wanted([e, d, b, a], [c]) == (
        (Share(a, a), Share(c, c, True), Share(d, d), Share(e, e)),
        (),
    )
    assert share_paths.wanted([a], [a]) == ((Share(a, a, True),), ())


def test_a_missing_folder_is_reported_and_the_others_are_shared(tmp_path: Path) -> None:
    found, problems = share_paths.wanted([str(tmp_path), str(tmp_path / "gone")], ["/etc"])
    assert found == (Share(str(tmp_path), str(tmp_path)),)
    assert [problem.kind for problem in problems] == ["SettingsError"] * 2


def test_set_refuses_a_folder_that_cannot_be_shared(store: SettingsStore, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        store.set("shares", str(tmp_path / "none"))
    assert store.set("shares", str(tmp_path)).value == (str(tmp_path),)
    assert store.load().shares == (str(tmp_path),)


def test_the_file_has_a_list_of_folders(store: SettingsStore, home: Home, tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    store.set("shares", f"~\n{tmp_path}/a,b")
    assert f'shares = ["~", "{tmp_path}/a,b"]' in home.settings.read_text()
    assert store.load().shares == ("~", f"{tmp_path}/a,b")


def test_an_invalid_entry_in_the_file_shares_nothing(store: SettingsStore, home: Home) -> None:
    home.settings.write_text("shares = ['relative']\n")
    assert store.load().shares == ()
    (problem,) = store.current().problems
    assert "settings.toml, line 1: shares cannot be" in problem.summary
    assert problem.hint.startswith("Nothing is used.")


def test_only_paths_fall_back_to_nothing_instead_of_the_default() -> None:
    for setting in schema(HOST):
        expected = () if setting.kind is Kind.PATHS else setting.default
        assert setting.fallback == expected


class Lacking(FakeShares):
    """Shares of a host without virtiofsd."""

    def probe(self, asked: str) -> Problem | None:
        return ToolMissing(Message("", "There is no virtiofsd.", "Install it.")).to_problem()


def test_without_virtiofsd_nothing_is_shared(store: SettingsStore, home: Home) -> None:
    backend = FakeBackend()
    backend.shares_folders = Lacking()
    folders = SharedFolders(home, store, backend, lambda: None)
    assert folders.wanted() == ()
    assert [problem.summary for problem in folders.problems] == ["There is no virtiofsd."]
    store.set("shares", "")
    assert folders.wanted() == ()
    assert folders.problems == ()  # no shares are configured


def test_a_share_that_the_guest_failed_to_mount_is_reported(
    store: SettingsStore, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vm.types import MachineSpec, MachineState, Observation

    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    paths = [str(tmp_path / name) for name in ("a", "b", "c")]
    store.set("shares", ",".join(paths))
    served = tuple(Share(path, path) for path in paths[:2])
    seen = Observation(MachineState.RUNNING, spec=MachineSpec(1, 1, 1, "", shares=served))
    monkeypatch.setattr(FakeBackend, "observe", lambda self, directory: seen)
    folders = SharedFolders(home, store, FakeBackend(), lambda: None)
    folders.look(["kernel", "share share1 failed: mount: no such device", "engine"])
    mounted, unserved = folders.problems
    assert paths[1] in mounted.summary
    assert mounted.details == "mount: no such device"
    assert paths[2] in unserved.summary
    assert resolve(paths[0], folders.sharing()) == paths[0]
    with pytest.raises(NotShared, match="is not shared"):
        resolve(paths[1], folders.sharing())


def test_a_share_that_is_no_longer_served_is_reported_and_refused(
    store: SettingsStore, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vm.types import MachineSpec, MachineState, Observation

    class Losing(FakeShares):
        def watch(self, directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
            lost(1)

    class Observed(FakeBackend):
        def observe(self, directory: MachineDir) -> Observation:
            return Observation(MachineState.RUNNING, spec=spec)

    names = [str(tmp_path / name) for name in ("a", "b")]
    for name in names:
        os.mkdir(name)
    store.set("shares", ",".join(names))
    spec = MachineSpec(1, 1, 1, "", shares=tuple(Share(name, name) for name in names))
    changed = threading.Event()
    backend = Observed()
    backend.shares_folders = Losing()
    folders = SharedFolders(home, store, backend, changed.set)
    folders.look([])
    assert not folders.problems
    story = SimpleNamespace(console=SimpleNamespace(lines=list))
    status = SimpleNamespace(state=MachineState.RUNNING)
    folders.begin(cast(Any, SimpleNamespace(story=story, status=status)))
    assert changed.wait(20)
    for _ in range(2):  # the problem stays while the machine runs
        (problem,) = folders.problems
        assert f"{names[1]} is no longer shared" in problem.summary
        assert resolve(names[0], folders.sharing()) == names[0]
        with pytest.raises(NotShared, match="is not shared"):
            resolve(names[1], folders.sharing())
        folders.look([])
    folders.end()
    assert not folders.problems, "the next machine serves the folder again"


def test_a_bind_mount_of_a_container_must_still_be_shared(
    home: Home, store: SettingsStore, tmp_path: Path
) -> None:
    folders = SharedFolders(home, store, FakeBackend(), lambda: None)
    share = Share(str(tmp_path), str(tmp_path))
    seen = tmp_path.stat()
    folders._mounted = {share: (seen.st_dev, seen.st_ino)}
    own = ("/var/run/docker.sock", "/", "/run/of-its-own", "/etc/created-by-a-client")
    folders.must_share([f"{tmp_path}/data", *own])
    folders._mounted = {}
    folders.must_share(own)
    store.set("shares", "~")
    with pytest.raises(NotShared, match=f"{tmp_path}/data is not shared") as refused:
        folders.must_share([*own, f"{tmp_path}/data"])
    assert "galley settings set shares" in refused.value.hint
    folders._mounted = {share: (seen.st_dev, seen.st_ino + 1)}  # another folder of the same name
    with pytest.raises(NotShared):
        folders.must_share([f"{tmp_path}/data"])


def test_a_start_creates_only_folders_that_dockerd_would_create(
    home: Home, store: SettingsStore, tmp_path: Path
) -> None:
    """Another user could create them first. A source of --mount has to exist."""
    tmp_path.chmod(0o1777)
    folders = SharedFolders(home, store, FakeBackend(), lambda: None)
    seen = tmp_path.stat()
    folders._mounted = {Share(str(tmp_path), str(tmp_path)): (seen.st_dev, seen.st_ino)}
    bound, mounted = f"{tmp_path}/bound", f"{tmp_path}/mounted"
    publishing = InspectedHostConfig(Binds=(f"{bound}:/x:ro", "volume:/y"))
    inspected = InspectedContainer(
        HostConfig=publishing, Mounts=(Mount("bind", bound), Mount("bind", mounted))
    )
    with pytest.raises(NotShared, match=f"{mounted} does not exist"):
        folders.must_share(inspected.folders, inspected.made)
    assert [path.name for path in tmp_path.iterdir()] == ["bound"]


def test_bound_folders_are_the_bind_sources_below_a_share(home: Home, store: SettingsStore) -> None:
    folders = SharedFolders(home, store, FakeBackend(), lambda: None)
    folders._mounted = {Share("/home/ann", "/home/ann"): (0, 0), Share("/data", "/there"): (0, 0)}
    mounts = (
        Mount("bind", "/home/ann/project"),
        Mount("bind", "/there/a/b"),
        Mount("bind", "/home/anna"),
        Mount("bind", "/run/docker.sock"),
        Mount("volume", "/home/ann/volume"),
    )
    containers = [Container(Mounts=mounts), Container(Mounts=mounts[:1]), Container(Mounts=None)]
    assert folders.follow(containers) == {"/home/ann/project", "/data/a/b"}
    assert folders.bound == {"/home/ann/project", "/data/a/b"}


def test_nothing_outside_a_share_is_watched(
    home: Home, store: SettingsStore, tmp_path: Path
) -> None:
    """Root in the guest can make dockerd report any path."""
    share, inner = tmp_path / "share", tmp_path / "share" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (share / "out").symlink_to(tmp_path / "secret")
    (share / "in").symlink_to(inner)
    folders = SharedFolders(home, store, FakeBackend(), lambda: None)
    folders._mounted = {Share(str(share), "/there"): (0, 0)}
    for source in ("/there/../secret", "/there/inner/../../secret", "/there/out", "/there/out/x",
                   "/../there/../secret", "/there/\0", "there/inner", "/there/.."):  # fmt: skip
        assert folders.follow([Container(Mounts=(Mount("bind", source),))]) == set()
    for source in ("/there/inner", "/there/x/../inner", "/there/in", "/there//inner/."):
        assert folders.follow([Container(Mounts=(Mount("bind", source),))]) == {str(inner)}


def test_root_only_writes_are_reported_for_a_writable_share(
    store: SettingsStore, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vm.types import MachineSpec, MachineState, Observation

    root_only = HostError(Message("", "No ids are lent.", "Lend some.")).to_problem()

    class Lent(Explains):
        def why_slow(self, directory: MachineDir) -> Problem | None:
            return None

        def why_only_root_writes(self, asked: str) -> Problem | None:
            return root_only

    backend = FakeBackend()
    backend.explains = Lent()
    folders = SharedFolders(home, store, backend, lambda: None)
    store.set("shares", "")
    for read_only in (False, True):
        share = Share(str(tmp_path), str(tmp_path), read_only)
        seen = Observation(MachineState.RUNNING, spec=MachineSpec(1, 1, 1, "", shares=(share,)))
        monkeypatch.setattr(FakeBackend, "observe", lambda self, directory, seen=seen: seen)
        folders.look([])
        assert folders.problems == (() if read_only else (root_only,))
