"""Debian's docker-registry as an image that runs inside the machine, so that pulls need no network.

It holds the program, the libraries it needs, and a configuration. Standard library only.
"""

import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.e2e.galley import Galley

ADDRESS = "127.0.0.1:5000"  # as the machine's dockerd reaches it
CONFIGURATION = f"""
version: 0.1
storage: {{filesystem: {{rootdirectory: /registry}}}}
http: {{addr: "{ADDRESS}"}}
log: {{accesslog: {{disabled: true}}}}
"""


def serve(galley: Galley, image: str, name: str) -> str:
    """Pushes `image` to a new registry and deletes the local copy; returns what to pull."""
    command = 'CMD ["/bin/docker-registry", "serve", "/etc/registry.yml"]'
    galley.docker("import", "--change", command, "-", "registry", stdin=_packed())
    galley.docker("run", "-d", "--name", "registry", "--network=host", "registry")
    reference = f"{ADDRESS}/{name}"
    galley.docker("tag", image, reference)
    galley.wait_for(
        lambda: galley.docker("push", "-q", reference, check=False).returncode == 0,
        "the registry accepts a push",
    )
    galley.docker("rmi", reference)
    return reference


def _packed() -> bytes:
    program = shutil.which("docker-registry")
    assert program, "install Debian's docker-registry"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(program, "bin/docker-registry")
        for library in re.findall(r"/\S+", listed):
            tar.add(Path(library).resolve(), library.lstrip("/"))
        _add(tar, "etc/registry.yml", CONFIGURATION.encode())
        folder = tarfile.TarInfo("registry")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, BytesIO(content))
