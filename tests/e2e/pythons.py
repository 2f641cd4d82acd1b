"""An image with the Python that runs the tests, for tests that need more than a shell."""

import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from tests.e2e.galley import busybox_tar

LEFT_OUT = re.compile(
    r"/(test|tests|site-packages|__pycache__|idlelib|tkinter|ensurepip|config-.*)$"
)


# The modules that the tests' scripts import. An emulated machine needs seconds to unpack the whole
# library, and as long to compile it in each container.
MODULES = ("encodings.ascii", "encodings.latin_1", "fcntl", "json", "mmap", "os", "socket")
LIST = f"""
import sys, {", ".join(MODULES)}
for module in list(sys.modules.values()):
    for file in (getattr(module, "__file__", None), getattr(module, "__cached__", None)):
        if file:
            print(file)
"""


def python_tar() -> bytes:
    """Python as /bin/python, its libraries and its standard library, beside busybox."""
    library = Path(sysconfig.get_path("stdlib"))
    return _with_python(lambda tar: tar.add(library, f"lib/{library.name}", filter=_without_tests))


def scripts_tar() -> bytes:
    """As `python_tar`, with only the part of the standard library that MODULES need."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    words = [sys.executable, "-S", "-c", LIST]
    stdout = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    files = {path for line in stdout.splitlines() if (path := Path(line).resolve()).exists()}

    def add(tar: tarfile.TarFile) -> None:
        for file in sorted(files):
            tar.add(file, f"lib/{library.name}/{file.relative_to(library)}")

    return _with_python(add)


def _with_python(add_library: Callable[[tarfile.TarFile], object]) -> bytes:
    program = Path(sys.executable).resolve()
    buffer = BytesIO(busybox_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        tar.add(program, "bin/python")
        for needed in libraries_of(program):
            tar.add(needed.resolve(), str(needed))
        add_library(tar)
    return buffer.getvalue()


def libraries_of(program: Path) -> set[Path]:
    stdout = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", stdout)}


def _without_tests(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if LEFT_OUT.search(member.name) or member.name.endswith(".a") else member
