"""Both engines, once for the whole suite, with one image that has the same id in both.

Next: `suite.py`.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from tarfile import SYMTYPE, TarInfo
from tarfile import open as open_tar

import pytest

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import LIMIT, Suite
from tests.contract.conftest import link_image
from tests.e2e.galley import IMAGE as TEST_IMAGE
from tests.e2e.galley import Galley
from tests.native import NativeDocker

PLUGINS = ("docker-buildx", "docker-compose")
SUITE = pytest.StashKey[Suite]()
CHANGES = ("CMD sleep 1000", "ENV BASE=image", "LABEL base=image", "STOPSIGNAL SIGKILL")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUP = b"root:x:0:\nstaff:x:50:\nnogroup:x:65534:\n"


@pytest.fixture(scope="package")
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    """A native dockerd and a Galley, both with their defaults."""
    folder = Path(tempfile.mkdtemp(prefix="gc"))  # short enough for a socket's path
    galley = Galley(folder / "home", link_image(folder / "images"))
    usr = os.environ.get("GALLEY_TEST_NATIVE")  # of tests/channels.py
    native = NativeDocker(folder / "native", usr=Path(usr) if usr else None)
    try:
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(native.start), pool.submit(galley.start)]:
                started.result()
        made = Suite(_native(native, folder), _galley(galley, folder))
        _load_image(made, folder)
        request.config.stash[SUITE] = made
        yield made
        for engine in made.engines:
            engine.close()
    finally:
        galley.remove()
        native.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _native(native: NativeDocker, folder: Path) -> Engine:
    made = Engine("native", native.socket, folder / "native-config", folder / "of-native")
    made.namespace = native.namespace
    return made


def _galley(galley: Galley, folder: Path) -> Engine:
    """Gives both clients the guest's CLI plugins."""
    config = Path(galley.env["DOCKER_CONFIG"])
    for name in PLUGINS:
        galley.load_plugin(name)
    shutil.copytree(config / "cli-plugins", folder / "native-config" / "cli-plugins")
    return Engine("galley", galley.home.docker_socket, config, folder / "of-galley")


def _load_image(suite: Suite, folder: Path) -> None:
    """Imports the image in one engine and loads it in the other: same id, same history."""
    native, galley = suite.engines
    changes = [word for change in CHANGES for word in ("--change", change)]
    native.docker("import", *changes, "-", IMAGE, stdin=_root_tar(folder), ok=True)
    save = ["docker", "save", IMAGE]
    saved = subprocess.run(save, env=native.env, capture_output=True, check=True).stdout
    galley.docker("load", stdin=saved, ok=True)
    native.docker("rmi", TEST_IMAGE, ok=True)
    for engine in suite.engines:
        engine.data = engine.request("GET", "/info").json["DockerRootDir"]
        engine.images = {image["Id"] for image in engine.request("GET", "/images/json").json}
        engine.clear()


def _root_tar(folder: Path) -> bytes:
    """A root file system: Debian's static busybox, `probe`, passwd and group."""
    probe = folder / "probe"
    source = Path(__file__).with_name("probe.c")
    subprocess.run(["cc", "-static", "-Os", "-o", probe, source], check=True)
    buffer = BytesIO()
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
    with open_tar(fileobj=buffer, mode="w") as tar:
        tar.add(Path(shutil.which("busybox") or "/bin/busybox").resolve(), "bin/busybox")
        tar.add(probe, "bin/probe")
        for name in listed.stdout.split():
            link = TarInfo(f"bin/{name}")
            link.type, link.linkname = SYMTYPE, "busybox"
            if name != "busybox":
                tar.addfile(link)
        for path, content in (("etc/passwd", PASSWD), ("etc/group", GROUP)):
            file = TarInfo(path)
            file.size = len(content)
            tar.addfile(file, BytesIO(content))
        tmp = TarInfo("tmp")
        tmp.type, tmp.mode = b"5", 0o1777
        tar.addfile(tmp)
    return buffer.getvalue()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the totals to the suite's end; tests of other folders keep their places."""
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.vm)
        item.add_marker(pytest.mark.timeout(LIMIT + 300))
    ordered = iter(sorted(ours, key=lambda item: item.path == here / "test_total.py"))
    items[:] = [next(ordered) if here in item.path.parents else item for item in items]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if (suite := config.stash.get(SUITE, None)) is not None:
        terminalreporter.section("Galley and a native engine")
        for line in suite.table():
            terminalreporter.line(line)
