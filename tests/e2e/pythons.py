"""An image with the Python that runs the tests, for tests that need more than a shell inside."""

import re
import subprocess
import sys
import sysconfig
import tarfile
from io import BytesIO
from pathlib import Path

from tests.e2e.galley import busybox_tar

LEFT_OUT = re.compile(
    r"/(test|tests|site-packages|__pycache__|idlelib|tkinter|ensurepip|config-.*)$"
)


def python_tar() -> bytes:
    """Its program as /bin/python, its libraries and its standard library, beside busybox."""
    program = Path(sys.executable).resolve()
    buffer = BytesIO(busybox_tar())
    library = Path(sysconfig.get_path("stdlib"))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        tar.add(program, "bin/python")
        for needed in libraries_of(program):
            tar.add(needed.resolve(), str(needed))
        tar.add(library, f"lib/{library.name}", filter=_wanted)
    return buffer.getvalue()


def libraries_of(program: Path) -> set[Path]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", said)}


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if LEFT_OUT.search(member.name) or member.name.endswith(".a") else member
