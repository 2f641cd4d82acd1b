"""The setting userns_remap on a real machine: containers' root is an unprivileged user there, and
shares, ports and the data of the other mode are as before.

One Galley, which the tests restart in the mode that they need.
"""

import os
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.galley import SERVE, Galley
from tests.e2e.watchers import WATCHER, Watcher, watcher_tar
from vm.host import net

CONTAINERS = ("ps", "--all", "--format", "{{.Names}}")
IMAGES = ("images", "--format", "{{.Repository}}")


@pytest.fixture(scope="module")
def galley(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Galley]:
    """Has used both modes: `before` is a container of the time without user namespaces."""
    root = tmp_path_factory.mktemp("r")
    (root / "shared").mkdir()
    galley = Galley(root / "home", images)
    galley.take_one_cpu()
    galley.run("settings", "set", "shares", str(root / "shared"))
    galley.start()
    load(galley)
    galley.docker("run", "--name", "before", WATCHER, "sh", "-c", "echo kept > /kept")
    use(galley, "virtiofs")
    assert lines(galley, *CONTAINERS) == lines(galley, *IMAGES) == []
    load(galley)
    yield galley
    galley.remove()


def load(galley: Galley) -> None:
    change = ("--change", "STOPSIGNAL SIGKILL", "--change", 'CMD ["sh"]')
    galley.docker("import", *change, "-", WATCHER, stdin=watcher_tar())


def use(galley: Galley, share_by: str, userns_remap: str = "true") -> None:
    changed = False
    for name, value in (("share_by", share_by), ("userns_remap", userns_remap)):
        changed |= galley.run("settings", "get", name).stdout.decode().strip() != value
        galley.run("settings", "set", name, value)
    if changed:
        galley.run("restart")


def lines(galley: Galley, *words: str) -> list[str]:
    return galley.docker(*words).stdout.decode().splitlines()


def container(galley: Galley, script: str, *options: str) -> str:
    """The output of a script in a container with the shared folder as /x."""
    shared = galley.home.root.with_name("shared")
    words = ("run", "--rm", "-v", f"{shared}:/x", "-w", "/x", *options, WATCHER, "busybox", "sh")
    done = galley.docker(*words, "-c", f"{{ {script}; }} 2>&1", check=False)
    return (done.stdout + done.stderr).decode()


def test_root_in_a_container_is_no_root_in_the_machine(galley: Galley) -> None:
    use(galley, "virtiofs")
    assert b"name=userns" in galley.docker("info", "--format", "{{.SecurityOptions}}").stdout
    script = "busybox id -u; cat /proc/self/uid_map"
    assert container(galley, script).split() == ["0", "0", "1000000", "65536"]
    refused = container(galley, "true", "--privileged")
    assert "privileged mode is incompatible with user namespaces" in refused
    script = "busybox mkdir /m; busybox mount -t tmpfs m /m && cat /proc/self/uid_map"
    output = container(galley, script, "--privileged", "--userns=host")
    assert output.split() == ["0", "0", "4294967295"]


def check_owners(galley: Galley, share_by: str) -> None:
    use(galley, share_by)
    folder = galley.home.root.with_name("shared") / share_by
    folder.mkdir()
    (folder / "of-the-host").write_text("host\n")
    (folder / "of-the-host").chmod(0o600)
    (folder / "of-another").write_text("")
    os.chown(folder / "of-another", 1234, 4321)
    script = f"""cd {share_by}; cat of-the-host; echo container >> of-the-host; echo new > new
busybox mkdir folder; busybox stat -c '%u %g' of-the-host new folder of-another
busybox chown 55:66 folder; busybox rm of-another"""
    assert container(galley, script) == "host\n0 0\n0 0\n0 0\n1234 4321\n"
    assert (folder / "of-the-host").read_text() == "host\ncontainer\n"
    assert stat.S_IMODE((folder / "of-the-host").stat().st_mode) == 0o600
    assert ((folder / "new").stat().st_uid, (folder / "new").stat().st_gid) == (0, 0)
    assert ((folder / "folder").stat().st_uid, (folder / "folder").stat().st_gid) == (55, 66)
    assert sorted(os.listdir(folder)) == ["folder", "new", "of-the-host"]
    output = container(galley, f"echo more >> {share_by}/of-the-host", "--userns=host")
    assert (output, (folder / "of-the-host").read_text()) == ("", "host\ncontainer\nmore\n")


def test_files_shared_by_virtiofs_have_the_same_owner_on_both_sides(galley: Galley) -> None:
    check_owners(galley, "virtiofs")


def test_dockerd_makes_a_missing_folder_for_the_user(galley: Galley) -> None:
    use(galley, "virtiofs")
    made = galley.home.root.with_name("shared") / "made"
    galley.docker("run", "--rm", "-v", f"{made}:/y", WATCHER, "sh", "-c", "echo 1 > /y/file")
    assert ((made / "file").read_text(), made.stat().st_uid) == ("1\n", 0)


def test_file_events_and_published_ports_reach_containers(galley: Galley) -> None:
    use(galley, "virtiofs")
    folder = galley.home.root.with_name("shared") / "watched"
    folder.mkdir()
    port = net.free_port()
    galley.docker("run", "-d", "--name", "web", "-p", f"{port}:80", WATCHER, "sh", "-c", SERVE)
    watcher = Watcher(galley.docker_host, folder)

    def is_reported() -> bool:
        (folder / "changed").write_text("1")
        return any("/x/changed" in line for line in watcher.lines)

    galley.wait_for(is_reported, "a change of the host is reported")
    watcher.close()

    def is_served() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return bool(answer.read() == b"served\n")
        except OSError:
            return False

    galley.wait_for(is_served, "the container's port is served")
    galley.docker("rm", "-f", "web")


def test_files_shared_by_sftp_have_the_same_owner_on_both_sides(galley: Galley) -> None:
    check_owners(galley, "sftp")


def test_the_data_of_the_other_mode_is_back_after_a_switch(galley: Galley) -> None:
    use(galley, "sftp", "false")
    assert lines(galley, *CONTAINERS) == ["before"]
    assert lines(galley, *IMAGES) == [WATCHER]
    kept = galley.docker("cp", "before:/kept", "-").stdout
    assert b"kept\n" in kept


def test_daemon_json_cannot_set_it(galley: Galley) -> None:
    file = galley.home.root / "wanted.json"
    file.write_text('{"userns-remap": "default"}')
    done = galley.run("settings", "daemon", "--file", str(file), check=False)
    assert b"The setting userns_remap is for this" in done.stdout + done.stderr
