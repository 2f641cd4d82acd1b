"""Bind mounts of this computer's folders: containers see the same files, without a delay.

One Galley for each way to share. A test that needs more than a shell uses a container with Python.
"""

import fcntl
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.e2e.galley import Galley
from tests.e2e.processes import belonging_to
from tests.e2e.pythons import scripts_tar
from tests.e2e.share_work import DATABASES_AND_EDITORS, PYTHON, Shared, Writer
from vm.host import process

OPEN_FILES = 9_000  # virtiofsd's limit in the test of that limit
ODD_NAMES = [
    "with space",
    "雪",
    "عربي",
    "Übergröße",
    "a,b",
    'quote"s',
    "back\\slash",
    "%41",
    "-n",
    "😀",
]


@pytest.fixture(scope="module", params=["virtiofs", "sftp"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, images: Path
) -> Iterator[Shared]:
    root = tmp_path_factory.mktemp("s")
    for name in ("rw", "rw/inner", "ro", "odd 雪,%", "with:colon", "gone", "unshared"):
        (root / name).mkdir()
    galley = Galley(root / "home", images)
    galley.run("settings", "set", "cpus", "2")
    names = ("rw", "rw/inner", "gone", "odd 雪,%", "with:colon")
    galley.run("settings", "set", "shares", "\n".join(f"{root}/{name}" for name in names))
    galley.run("settings", "set", "read_only_shares", f"{root}/ro")
    galley.run("settings", "set", "share_by", request.param)
    (root / "gone").rmdir()
    galley.start()
    change = ("--change", "ENV PYTHONHOME=/ PYTHONUTF8=1", "--change", 'CMD ["sh"]')
    galley.docker("import", *change, "-", PYTHON, stdin=scripts_tar())
    yield Shared(galley, root, request.param)
    galley.remove()


def test_a_missing_share_is_reported_and_the_others_are_mounted(shared: Shared) -> None:
    problems = shared.galley.status()["problems"]
    assert [problem["summary"] for problem in problems] == [
        f"The folder {shared.root}/gone cannot be shared: it does not exist."
    ]


def test_the_status_shows_the_share_protocol(shared: Shared) -> None:
    assert shared.galley.status()["vm"]["share_by"] == shared.by
    assert f"shared by {shared.by}" in shared.galley.run("status").stdout.decode()


def test_files_are_the_same_on_both_sides(shared: Shared) -> None:
    here = shared.rw / "same"
    here.mkdir()
    (here / "of-the-host").write_text("host")
    (here / "of-the-host").chmod(0o640)
    shutil.chown(here / "of-the-host", 1234, 4321)
    (here / "link").symlink_to("of-the-host")
    output = shared.python(
        """
import json, os
seen = os.stat("link")
open("of-the-guest", "w").write("guest")
os.chown("of-the-guest", 55, 66)
os.chmod("of-the-guest", 0o4751)
os.symlink("/nowhere", "link-of-the-guest")
print(json.dumps([seen.st_uid, seen.st_gid, oct(seen.st_mode), open("link").read()]))
""",
        here,
    )
    assert output == [1234, 4321, "0o100640", "host"]
    made = (here / "of-the-guest").stat()
    assert (made.st_uid, made.st_gid, oct(made.st_mode)) == (55, 66, "0o104751")
    assert (here / "of-the-guest").read_text() == "guest"
    assert (here / "link-of-the-guest").readlink() == Path("/nowhere")


def test_hard_links_and_named_pipes(shared: Shared) -> None:
    """SFTP has neither, so by SFTP both calls fail."""
    here = shared.rw / "special"
    here.mkdir()
    made = """
import json, os
done = []
open("file", "w").write("one")
for make in (lambda: os.link("file", "second-name"), lambda: os.mkfifo("pipe")):
    try:
        make()
        done.append(True)
    except OSError:
        done.append(False)
print(json.dumps(done))
"""
    supported = shared.by != "sftp"
    assert shared.python(made, here) == [supported, supported]
    assert (here / "file").stat().st_nlink == 1 + supported
    assert (here / "pipe").is_fifo() == supported


def test_names_in_any_script_and_case(shared: Shared) -> None:
    for folder in (shared.rw / "names", shared.root / "odd 雪,%"):
        folder.mkdir(exist_ok=True)
        for name in ODD_NAMES:
            (folder / name).write_text(name)
        output = shared.python(
            """
import json, os
same = all(open(name).read() == name for name in os.listdir("."))
open("Case", "w").write("upper")
open("case", "w").write("lower")
print(json.dumps([same, sorted(os.listdir(".")), open("Case").read()]))
""",
            folder,
        )
        assert output == [True, sorted([*ODD_NAMES, "Case", "case"]), "upper"]
        assert (folder / "case").read_text() == "lower"


def test_a_folder_with_odd_names_and_old_files_is_listed_in_full(shared: Shared) -> None:
    folder = shared.rw / "odd"
    folder.mkdir()
    for name in (b"not \xff UTF-8", b"old", b"other"):
        with open(os.path.join(os.fsencode(folder), name), "xb"):
            pass
    os.utime(folder / "old", (-1_000_000, -1_000_000))
    output = shared.python(
        """
import json, os
for name in os.listdir(b"."):
    os.rename(name, name + b" \\xfe")
print(json.dumps(sorted(name.hex() for name in os.listdir(b"."))))
""",
        folder,
    )
    there = sorted(os.listdir(os.fsencode(folder)))
    assert there == [b"not \xff UTF-8 \xfe", b"old \xfe", b"other \xfe"]
    assert output == [name.hex() for name in there]


def test_file_operations_of_databases_and_editors(shared: Shared) -> None:
    output = shared.python(DATABASES_AND_EDITORS)
    assert output == {
        "renamed over open": ["old", "new"],
        "mapped": "page",
        "locks": [7, 7],
        "sparse": ["end", (5 << 30) + 3],
        "appended": 20,
        "deleted but open": True,
    }
    assert (shared.rw / "mapped").read_bytes()[4096:4100] == b"page"
    sparse = (shared.rw / "sparse").stat()
    assert sparse.st_size == (5 << 30) + 3
    assert sparse.st_blocks < 1024


def test_many_small_files(shared: Shared) -> None:
    """A container unpacks them with `tar` and reads them all; then the host reads them. By sftp
    each file takes an emulated machine a twentieth of a second, so the test uses fewer."""
    folder, count = shared.rw / "many", 1_000 if shared.by == "virtiofs" else 200
    folder.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(count):
            file = tarfile.TarInfo(f"{number // 100}/{number}")
            data = f"{number}\n".encode()
            file.size = len(data)
            tar.addfile(file, io.BytesIO(data))
    work = """busybox tar x; busybox find . -type f -exec busybox cat {} + |
busybox awk '{ sum += $1; lines++ } END { print lines, sum }'"""
    words = ("run", "--rm", "-i", "-v", f"{folder}:/x", "-w", "/x", PYTHON, "sh", "-c", work)
    printed = shared.galley.docker(*words, stdin=buffer.getvalue()).stdout.split()
    assert list(map(int, printed)) == [count, sum(range(count))]
    here = [int(path.read_text()) for path in folder.glob("*/*")]
    assert sorted(here) == list(range(count))


def test_many_files_in_one_folder(shared: Shared) -> None:
    """A container lists all and reads one in twenty. They exceed virtiofsd's limit of open files;
    virtiofsd keeps a file open while the guest caches its inode. sftp has no such limit."""
    count = 10_000 if shared.by == "virtiofs" else 400
    for pid in virtiofsds(shared.galley):
        psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
        shared.galley.wait_for(partial(has_room, pid), "the guest drops cached inodes")
    folder = shared.rw / "crowd"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}").write_text(f"{number}\n")
    work = """busybox find . -type f |
busybox awk -F/ '{ sum += $2; names++ } END { print names, sum }'
busybox find . -name '*[02468]0' -exec busybox cat {} + | busybox wc -l"""
    words = ("run", "--rm", "-v", f"{folder}:/x:ro", "-w", "/x", PYTHON, "sh", "-c", work)
    printed = shared.galley.docker(*words).stdout.split()
    assert list(map(int, printed)) == [count, sum(range(count)), count // 20 - 1]


def virtiofsds(galley: Galley) -> list[int]:
    return [pid for pid, line in belonging_to(str(galley.home.root)).items() if "virtiofsd" in line]


def has_room(pid: int) -> bool:
    """Galley makes the guest drop inodes from half of the limit on."""
    return len(os.listdir(f"/proc/{pid}/fd")) <= OPEN_FILES // 2


def test_a_container_sees_edits_of_the_host(shared: Shared) -> None:
    """Also in a process that has read the file before."""
    path = shared.rw / "edited"
    path.write_text("first\n")
    wait = "cat edited; until grep -q second edited; do :; done; cat edited"
    words = ["docker", "-H", shared.galley.docker_host, "run", "--rm", "-v", f"{shared.rw}:/x"]
    reader = shared.galley.popen([*words, "-w", "/x", PYTHON, "sh", "-c", wait])
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"first\n"
    path.write_text("second\n")
    assert reader.stdout.readline() == b"second\n"
    reader.stdout.close()
    assert reader.wait(30) == 0


def test_a_container_cannot_write_to_a_read_only_share(shared: Shared) -> None:
    folder = shared.root / "ro"
    (folder / "file").write_text("here")
    code, output = shared.bind(folder, "sh", "-c", "cat file; echo no > file", check=False)
    assert code != 0
    assert output.startswith("here")
    assert "Read-only file system" in output
    assert (folder / "file").read_text() == "here"


def test_a_bind_mount_that_is_not_shared_is_refused_with_the_command_to_share_it(
    shared: Shared,
) -> None:
    folder = shared.root / "unshared"
    for words in (("-v", f"{folder}:/x"), ("--mount", f"type=bind,source={folder},target=/x")):
        done = shared.galley.docker("run", *words, PYTHON, "true", check=False)
        stderr = done.stderr.decode()
        assert done.returncode == 125
        assert f"The folder {folder} is not shared with Galley's virtual machine." in stderr
        assert "galley settings set shares" in stderr
        assert str(folder) in stderr.split("settings set shares")[1]
    ids = shared.galley.docker("ps", "--all", "--quiet").stdout
    assert ids == b""


def test_a_path_with_a_colon_and_a_share_inside_another(shared: Shared) -> None:
    for folder in (shared.root / "with:colon", shared.rw / "inner"):
        mount = f"type=bind,source={folder},target=/x"
        work = ("sh", "-c", "echo 1 > /x/file")
        shared.galley.docker("run", "--rm", "--mount", mount, PYTHON, *work)
        assert (folder / "file").read_text() == "1\n"


def test_docker_creates_the_source_of_a_volume_option_but_not_of_a_mount_option(
    shared: Shared,
) -> None:
    shared.bind(shared.rw / "made" / "by" / "docker", "sh", "-c", "echo 1 > file")
    assert (shared.rw / "made/by/docker/file").read_text() == "1\n"
    mount = f"type=bind,source={shared.rw}/missing,target=/x"
    done = shared.galley.docker("run", "--rm", "--mount", mount, PYTHON, "true", check=False)
    assert b"bind source path does not exist" in done.stderr
    assert not (shared.rw / "missing").exists()


def test_a_bind_mount_through_a_symlink_of_the_host(shared: Shared) -> None:
    (shared.root / "link").symlink_to(shared.rw)
    (shared.rw / "linked").write_text("found")
    both = ("-v", f"{shared.root}/link:/x", "-v", f"{shared.root}/link/linked:/y")
    done = shared.galley.docker("run", "--rm", *both, PYTHON, "cat", "/x/linked", "/y")
    assert done.stdout == b"foundfound"


def test_both_paths_of_the_docker_socket_can_be_mounted(shared: Shared) -> None:
    script = """
import socket
for path in ("/one.sock", "/two.sock"):
    there = socket.socket(socket.AF_UNIX)
    there.connect(path)
    there.sendall(b"GET /_ping HTTP/1.0\\r\\n\\r\\n")
    print(there.recv(100).decode().split("\\r")[0])
"""
    one, two = "/var/run/docker.sock", shared.galley.home.docker_socket
    both = ("-v", f"{one}:/one.sock", "-v", f"{two}:/two.sock")
    words = ("run", "--rm", "-i", *both, PYTHON, "python", "-S", "-")
    done = shared.galley.docker(*words, stdin=script.encode())
    assert done.stdout.decode().splitlines() == ["HTTP/1.0 200 OK"] * 2


def test_a_compose_project_with_a_relative_folder(shared: Shared) -> None:
    shared.galley.load_compose()
    project = shared.rw / "project"
    (project / "data").mkdir(parents=True)
    (project / "compose.yaml").write_text(
        f"services: {{one: {{image: {PYTHON}, volumes: ['./data:/x'], network_mode: none,\n"
        "  command: [sh, -c, 'echo composed > /x/file']}}\n"
    )
    file = ("--file", str(project / "compose.yaml"))
    shared.galley.docker("compose", *file, "up", "--abort-on-container-exit")
    shared.galley.docker("compose", *file, "down")
    assert (project / "data" / "file").read_text() == "composed\n"


def test_a_share_removed_while_it_is_in_use(shared: Shared) -> None:
    folder = shared.root / "odd 雪,%"
    (folder / "open").write_text("still there")
    words = ["docker", "-H", shared.galley.docker_host, "run", "--rm", "-v", f"{folder}:/x"]
    use = "exec 3< /x/open; echo ready; until [ -e /go/go ]; do :; done; cat <&3; echo no > /x/new"
    user = shared.galley.popen([*words, "-v", f"{shared.rw}:/go", PYTHON, "sh", "-c", use])
    assert user.stdout is not None
    assert user.stdout.readline() == b"ready\n"
    held = os.open(folder, os.O_RDONLY)  # or the new folder may get the same inode
    shutil.rmtree(folder)
    (shared.rw / "go").touch()
    stdout = user.stdout.read().decode()
    user.stdout.close()
    assert user.wait(60) != 0
    assert stdout.startswith("still there")
    assert "can't create /x/new" in stdout
    folder.mkdir()  # with another inode
    code, output = shared.bind(folder, "echo", check=False)
    assert code == 125
    assert f"{folder} is not shared" in output
    assert "when the engine starts again" in output
    os.close(held)


def test_file_locks_of_host_and_container_are_separate(shared: Shared) -> None:
    """A lock that a host process holds does not block a lock in a container."""
    with (shared.rw / "locked here").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        fcntl.lockf(held, fcntl.LOCK_EX)
        output = shared.python(
            """
import fcntl, json
with open("locked here", "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print(json.dumps("locked"))
"""
        )
    assert output == "locked"


def test_the_next_supervisor_adopts_the_shares(shared: Shared) -> None:
    process.end(shared.galley.supervisor_identity(), force=True)
    shared.galley.start()
    assert shared.bind(shared.rw, "echo", "found") == (0, "found\n")
    code, output = shared.bind(shared.root / "unshared", "echo", check=False)
    assert (code, "is not shared" in output) == (125, True)


def test_synced_files_survive_a_killed_machine_and_containers_find_their_shares(
    shared: Shared,
) -> None:
    galley = shared.galley
    again = ("run", "-d", "--restart", "always", "--name", "again", "-v", f"{shared.rw}:/x")
    galley.docker(*again, PYTHON, "sh", "-c", "echo up >> /x/starts; exec sleep 1000000")
    writer = Writer(shared)
    assert writer.enough.wait(120)
    process.end(galley.vm_identity(), force=True)
    writer.end()
    writer.check(shared.rw)
    galley.wait_for(lambda: galley.status()["state"] == "stopped", "the machine's exit is detected")
    galley.start()
    starts = shared.rw / "starts"
    galley.wait_for(lambda: starts.read_text() == "up\nup\n", "the container starts again")
    galley.docker("rm", "-f", "again", "writer")


def test_a_stop_ends_virtiofsd_and_removes_its_sockets(shared: Shared) -> None:
    galley = shared.galley
    served = [line for line in galley.processes() if "virtiofsd" in line]
    assert bool(served) == (shared.by == "virtiofs")
    galley.run("stop")
    assert not [line for line in galley.processes() if "virtiofsd" in line]
    assert not list(galley.home.run.glob("share*"))
