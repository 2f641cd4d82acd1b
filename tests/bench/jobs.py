"""A real job, a Debian package unpacked (`dpkg-deb -x`), by where its files are.

    native       a dockerd on this computer, all in the container
    no_mount     the VM, all in the container
    volume       the VM, the package in a folder of this computer, what comes of it in a volume
    mount        the VM, both in a folder of this computer

No goal: an emulated CPU unpacks slowly wherever it puts it. Times are those of the job alone, as
its container sees them, until all is written (`sync`). Next: `mounts.py`.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.figures import Row, compared
from tests.bench.lab import Lab
from tests.bench.mounts import inside, seconds_inside
from tests.bench.run import Docker
from tests.bench.timing import turn_about
from tests.e2e.galley import IMAGE

NAME = "galley-jobs"
PACKAGES = ("vim-runtime", "tzdata")  # some 2,400 files, 40 MB; for a quick look 500, 2 MB


def measure(lab: Lab) -> Iterator[Row]:
    place = lab.shared / "jobs"
    place.mkdir()
    package = _fetched(PACKAGES[lab.quick], place)
    ours, native = lab.running().docker, lab.native.docker
    bind, volume = ("-v", f"{place}:/bind"), ("-v", f"{NAME}:/own")
    floor = _job(native, NAME, package, "/work")
    for name, folder, mounts in (
        ("no_mount", "/work", ()),
        ("volume", "/own", (*bind, *volume)),
        ("mount", "/bind/work", bind),
    ):
        container = f"{NAME}-{name}"
        job = _job(ours, container, package, folder, *mounts)
        yield compared(f"jobs.unpack_{name}", "s", turn_about(lab.times(3, 1), job, floor))
        ours("rm", "-f", container)
    ours("volume", "rm", NAME)
    native("rm", "-f", NAME)


def _fetched(name: str, folder: Path) -> Path:
    """From where this computer has its packages."""
    subprocess.run(["apt-get", "download", "-q", name], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    return package


def _job(
    docker: Docker, container: str, package: Path, folder: str, *mounts: str
) -> Callable[[], float]:
    """In a container of its own, which stays: the seconds that the job takes."""
    docker("run", "-d", "--name", container, *mounts, IMAGE, "sleep", "100000")
    inside(docker, container, "/", f"busybox mkdir -p {folder}")
    given = f"/bind/{package.name}" if mounts else "/package.deb"
    if not mounts:
        docker("cp", str(package), f"{container}:{given}")

    def work() -> float:
        inside(docker, container, folder, "busybox rm -rf out; sync")
        took = seconds_inside(docker, container, folder, f"busybox dpkg-deb -x {given} out; sync")
        inside(docker, container, folder, "busybox test -d out/usr/share")
        return took

    return work
