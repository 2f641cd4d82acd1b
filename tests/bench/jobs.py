"""Two real jobs with their files in different places: a Debian package is unpacked
(`dpkg-deb -x`), and `pip install` installs from a folder of wheels.

    native       a dockerd on this computer, input and output in the container
    no_mount     the VM, input and output in the container
    volume       the VM, input in a folder of this computer, output in a volume
    mount        the VM, input and output in a folder of this computer

No goal: an emulated CPU is slow in each case. Times are those of the job alone, by its container's
clock, until everything is synced. Next: `mounts.py`.
"""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import msgspec

from tests.bench.figures import Row, compared
from tests.bench.lab import Lab
from tests.bench.mounts import inside, seconds_inside
from tests.bench.run import Docker
from tests.bench.timing import alternate
from tests.e2e.galley import IMAGE
from tests.e2e.pythons import python_tar

NAME = "galley-jobs"
PYTHON = "galley-python"
PACKAGES = ("vim-runtime", "tzdata")  # some 2,400 files, 40 MB; for a quick look 500, 2 MB
WHEELS = (("rich", "click"), ("click",))  # some 130 files; for a quick look 22


class Job(msgspec.Struct, frozen=True):
    """`command` reads {given}, a file or a folder, and creates `out`, which contains `made`."""

    name: str
    image: str
    given: Path
    command: str
    made: str


def measure(lab: Lab) -> Iterator[Row]:
    place = lab.shared / "jobs"
    place.mkdir()
    ours, native = lab.running().docker, lab.native.docker
    for docker in (ours, native):
        docker(
            "import",
            "--change",
            "ENV PYTHONHOME=/ PYTHONPATH=/pips",
            "-",
            PYTHON,
            stdin=_with_pip(),
        )
    for job in (_unpacking(place, lab.quick), _installing(place, lab.quick)):
        bind, volume = ("-v", f"{place}:/bind"), ("-v", f"{NAME}:/own")
        floor = _work(native, NAME, job, "/work")
        for name, folder, mounts in (
            ("no_mount", "/work", ()),
            ("volume", "/own", (*bind, *volume)),
            ("mount", "/bind/work", bind),
        ):
            container = f"{NAME}-{name}"
            work = _work(ours, container, job, folder, *mounts)
            both = alternate(lab.times(3, 1), work, floor)
            yield compared(f"jobs.{job.name}_{name}", "s", both)
            ours("rm", "-f", container)
        ours("volume", "rm", NAME)
        native("rm", "-f", NAME)


def _unpacking(folder: Path, quick: bool) -> Job:
    """The package comes from this computer's apt sources."""
    fetch = ["apt-get", "download", "-q", PACKAGES[quick]]
    subprocess.run(fetch, cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    return Job("unpack", IMAGE, package, "busybox dpkg-deb -x {given} out", "usr/share")


def _installing(folder: Path, quick: bool) -> Job:
    """The wheels come from this computer's pip index. pip also compiles their modules."""
    wheels, names = folder / "wheels", WHEELS[quick]
    pinned = [f"{name}=={version(name)}" for name in names]
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), *pinned]
    subprocess.run(fetch, check=True, capture_output=True)
    install = "python -m pip install -q --no-deps --no-index --find-links {given} --target out "
    return Job("pip", PYTHON, wheels, install + " ".join(names), names[-1])


def _with_pip() -> bytes:
    """The Python of the tests, with its pip."""
    found = find_spec("pip")
    assert found is not None
    assert found.origin is not None
    buffer = io.BytesIO(python_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        tar.add(Path(found.origin).parent, "pips/pip")
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    return buffer.getvalue()


def _work(
    docker: Docker, container: str, job: Job, folder: str, *mounts: str
) -> Callable[[], float]:
    """Starts a container for the job; returns a function that runs and times it there."""
    docker("run", "-d", "--name", container, *mounts, job.image, "sleep", "100000")
    inside(docker, container, "/", f"busybox mkdir -p {folder}")
    given = f"/bind/{job.given.name}" if mounts else f"/{job.given.name}"
    if not mounts:
        docker("cp", str(job.given), f"{container}:{given}")
    command = job.command.format(given=given)

    def work() -> float:
        inside(docker, container, folder, "busybox rm -rf out; sync")
        took = seconds_inside(docker, container, folder, f"{command}; sync")
        inside(docker, container, folder, f"busybox test -d out/{job.made}")
        return took

    return work
