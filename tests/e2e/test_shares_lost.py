"""A container whose bind is no longer shared does not start on an empty folder.

At each start, dockerd creates a bind mount's folder that does not exist. In the machine such a
folder is in memory, and everything written to it is lost.
"""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, SOON, Galley
from tests.e2e.processes import belonging_to
from tests.unit.engine.bridge.test_check import Client

SERVER = "virtiofsd"
WRITE = "echo up >> /x/starts && exec sleep 1000000"


def _share(galley: Galley, *folders: Path) -> None:
    galley.run("settings", "set", "shares", "\n".join(map(str, folders)))


def _run(galley: Galley, name: str, folder: Path) -> None:
    words = ("run", "-d", "--name", name, "--restart", "always", "-v", f"{folder}:/x", IMAGE)
    galley.docker(*words, "sh", "-c", WRITE)


def _state(galley: Galley, name: str) -> str:
    asked = ("inspect", "-f", "{{.State.Status}} {{.State.Error}}", name)
    return galley.docker(*asked).stdout.decode().strip()


def _refusal(galley: Galley, name: str, *, restarts: bool) -> str:
    """The answer to a start. A container that `restarts` may be running at that moment: 304."""
    refusals: list[str] = []

    def is_refused() -> bool:
        client = Client(galley.home.docker_socket)
        status, answer = client.ask("POST", f"/containers/{name}/start")
        client.close()
        assert status == 400 or (status == 304 and restarts)
        refusals.append(str(answer))
        return status == 400

    galley.wait_for(is_refused, "the start is refused", SOON)
    return refusals[-1]


@pytest.mark.parametrize("kind", ["virtiofs", "sftp"])
def test_a_container_whose_bind_mount_is_no_longer_shared_does_not_start(
    fresh: Galley, tmp_path: Path, kind: str
) -> None:
    fresh.take_one_cpu()
    fresh.run("settings", "set", "share_by", kind)
    data, whole = tmp_path / "data", tmp_path / "whole"
    for folder in (data, whole / "inner"):
        folder.mkdir(parents=True)
    _share(fresh, data, whole)
    fresh.start()
    fresh.load_image()
    _run(fresh, "gone", data)
    _run(fresh, "narrowed", whole)
    starts = [data / "starts", whole / "starts"]
    fresh.wait_for(lambda: all(each.exists() for each in starts), "both have written")

    _share(fresh, whole / "inner")
    fresh.run("restart")
    state = _state(fresh, "gone")
    assert not state.startswith("running")
    assert "read-only file system" in state
    for name, folder in (("gone", data), ("narrowed", whole)):
        refusal = _refusal(fresh, name, restarts=name == "narrowed")
        assert f"The folder {folder} is not shared" in refusal
        assert f"galley settings set shares {whole}/inner,{folder}" in refusal
    assert "Read-only file system" in fresh.docker("logs", "narrowed").stderr.decode()
    assert not fresh.run("shell", "ls", str(data), check=False).stdout
    assert [each.read_text() for each in starts] == ["up\n"] * 2

    _share(fresh, data, whole)
    fresh.run("restart")
    fresh.wait_for(lambda: starts[0].read_text() == "up\nup\n", "it starts with its folder")
    fresh.docker("restart", "-t", "0", "narrowed")
    fresh.wait_for(lambda: starts[1].read_text().startswith("up\nup\n"), "so does the other")


def test_a_share_whose_virtiofsd_ended_is_reported_until_a_restart(
    used: Galley, shared: Path
) -> None:
    used.start()
    words = ("run", "--rm", "-v", f"{shared}:/x", IMAGE, "sh", "-c", "echo there >> /x/file")
    used.docker(*words)
    (server, *_) = [
        pid for pid, line in belonging_to(str(used.home.root)).items() if SERVER in line
    ]
    os.kill(server, signal.SIGKILL)

    def problems() -> list[str]:
        return [problem["summary"] for problem in used.status()["problems"]]

    used.wait_for(lambda: any(SERVER in each for each in problems()), "it is reported")
    assert f"The folder {shared} is no longer shared" in problems()[0]
    done = used.docker(*words, check=False)
    assert b"galley restart" in done.stderr
    used.run("restart")
    assert "the machine did not end within" not in used.log_tail()
    assert problems() == []
    used.docker(*words)
    assert (shared / "file").read_text() == "there\n" * 2


def test_docker_inside_the_machine_mounts_no_empty_folder_either(galley: Galley) -> None:
    """Its requests do not pass the bridge. The machine's own folders stay writable."""
    for folder in ("/data", "/home/ann", "/srv/www", "/opt/work", "/var/www"):
        words = ("docker", "run", "--rm", "-v", f"{folder}:/x", IMAGE, "echo")
        done = galley.run("shell", *words, check=False)
        assert done.returncode != 0, folder
        assert b"read-only file system" in done.stdout + done.stderr
    work = 'touch /run/x /etc/x "$(mktemp)" && rm /run/x /etc/x'
    assert galley.run("shell", "sh", "-c", work).returncode == 0
