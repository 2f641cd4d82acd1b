"""The inputs of the tests' Windows, and one hash over all of them. Next: `build.py`.

They come from Debian and from the package index that this computer's pip is configured for. The
programs of CPython for Windows, signed by python.org, are in a wheel of panda3d, which has them for
games to be shipped with; the standard library is Debian's, of the same version.
"""

import hashlib
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
REQUIREMENTS = HERE.parents[1] / "installer" / "requirements.txt"
SERIES = "3.13"
PROGRAMS = (
    "panda3d==1.10.16 "
    "--hash=sha256:0e505261bb58d8402d0099c291f1a3459acfdd38f3e7d666e72aa2e1ea5dc46f"
)
WINDOW = {"pyside6-essentials"}  # the window has no tests here
# The variables of a requirement's marker, with the values of Python for Windows.
WINDOWS = {
    "implementation_name": "cpython",
    "os_name": "nt",
    "platform_machine": "AMD64",
    "platform_python_implementation": "CPython",
    "platform_system": "Windows",
    "python_full_version": f"{SERIES}.0",
    "python_version": SERIES,
    "sys_platform": "win32",
}


def pinned(*names: str) -> list[str]:
    """Lines of a requirements file: the version and the hashes of each, without its marker."""
    joined = REQUIREMENTS.read_text().replace("\\\n", " ")
    pins = {}
    for line in joined.splitlines():
        name, sign, rest = line.partition("==")
        if sign and not line.startswith("#"):
            hashes = re.findall(r"--hash=\S+", rest)
            pins[canonicalize_name(name)] = " ".join([f"{name}=={rest.split()[0]}", *hashes])
    return [pins[canonicalize_name(name)] for name in names]


def packages() -> list[str]:
    """The requirements of Galley on Windows, and those of its requirements.

    Read from the packages installed here, because pip evaluates markers for its own system only.
    A package that is not installed here is for Windows alone, and has no requirements.
    """
    found: set[str] = set()
    waiting = ["galley"]
    while waiting:
        for name in _needs(waiting.pop()):
            if name not in found | WINDOW:
                found.add(name)
                waiting.append(name)
    return pinned(*sorted(found))


def _needs(package: str) -> list[str]:
    try:
        needed = map(Requirement, requires(package) or ())
    except PackageNotFoundError:
        return []
    for_windows = {**WINDOWS, "extra": ""}
    return [
        canonicalize_name(one.name)
        for one in needed
        if one.marker is None or one.marker.evaluate(for_windows)
    ]


def library() -> Path:
    """The standard library, of the same version as the programs."""
    command = [_python(), "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
    return Path(subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip())


def key() -> str:
    """The hash of all inputs."""
    digest = hashlib.sha256()
    for name in ("recipe.py", "build.py", "launcher.c"):
        digest.update((HERE / name).read_bytes())
    for tool in (["wine", "--version"], [_python(), "--version"]):
        digest.update(subprocess.run(tool, capture_output=True, check=True).stdout)
    digest.update("\n".join([PROGRAMS, *packages()]).encode())
    return digest.hexdigest()[:16]


def _python() -> str:
    return shutil.which(f"python{SERIES}", path="/usr/local/bin:/usr/bin") or f"python{SERIES}"
