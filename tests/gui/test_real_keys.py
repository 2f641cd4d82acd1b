"""The window as a user runs it: its own process, a real X screen, keys and clicks."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gui.conftest import WindowDockerd
from tests.gui.screen import Screen, Steps
from tests.unit.engine.bridge.servers import docker, wait_until
from tests.unit.engine.docker.registry import FAST, Registry

SERVICE = f"{FAST}/kitchen/service:1"
PAGES = ("containers", "images", "volumes", "networks", "engine")
SIDEBAR_X, FIRST_PAGE_Y, PAGE_STEP = 100, 107, 36  # pixels, of the sidebar's entries
COMMAND = 'CMD ["sh","-c","trap \'exit 0\' TERM; echo ready; sleep 1000 & wait"]'


@pytest.fixture
def service(dockerd: WindowDockerd) -> Iterator[str]:
    """An image with a command, in a registry. Afterwards container and image are removed."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(dockerd, Path(folder))
        registry.start()
        packed = str(dockerd.folder / "image.tar")
        for words in (
            ("import", "--change", COMMAND, packed, SERVICE),
            ("push", "-q", SERVICE),
            ("rmi", SERVICE),
        ):
            done = docker(dockerd.socket, *words)
            assert done.returncode == 0, done.stderr
        yield SERVICE
        docker(dockerd.socket, "rm", "-f", "by-hand")
        docker(dockerd.socket, "rmi", "-f", SERVICE)
        registry.stop()


@pytest.fixture
def window(
    screen: Screen, dockerd: WindowDockerd, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The window on the test's dockerd, which is configured as a docker context."""
    config, home = Path(os.environ["DOCKER_CONFIG"]), Path(os.environ["GALLEY_HOME"])
    meta = config / "contexts" / "meta" / "test" / "meta.json"
    meta.parent.mkdir(parents=True)
    host = {"docker": {"Host": f"unix://{dockerd.socket}"}}
    meta.write_text(json.dumps({"Name": "test", "Endpoints": host}))
    home.mkdir(parents=True)
    (home / "window.ini").write_text("[General]\ncontext=test\n")
    (home / "settings.toml").write_text('backend = "fake"\n')
    process = screen.open([sys.executable, "-m", "desktop"], tmp_path / "window.log", {})
    screen.wait_for("^Galley$")
    yield process
    process.terminate()
    process.wait(20)
    log = (tmp_path / "window.log").read_text()
    galley = Path(sys.executable).with_name("galley")
    subprocess.run([galley, "quit"], check=True, capture_output=True)
    assert "Traceback" not in log, log


def has_image(dockerd: WindowDockerd, name: str) -> bool:
    return docker(dockerd.socket, "inspect", name).returncode == 0


def inside(dockerd: WindowDockerd, *command: str) -> str:
    return docker(dockerd.socket, "exec", "by-hand", *command).stdout.decode()


def shells(dockerd: WindowDockerd) -> int:
    """The number of open shells; process 1 is the service's own."""
    return inside(dockerd, "ps", "-o", "pid,args").count("sh\n")


def state(dockerd: WindowDockerd) -> str:
    """State of the container that the user runs; "" while there is none."""
    seen = docker(dockerd.socket, "inspect", "--format", "{{.State.Status}}", "by-hand")
    return seen.stdout.decode().strip()


def test_pull_run_look_type_stop_and_delete_by_hand(
    screen: Screen,
    window: subprocess.Popen[bytes],
    dockerd: WindowDockerd,
    service: str,
    tmp_path: Path,
) -> None:
    """A picture of each step is left in `tmp_path`."""
    step = Steps(screen, tmp_path)
    pull_and_run(screen, step, dockerd, service)
    look_inside(screen, step, dockerd)
    screen.keys("ctrl+Tab", "Escape", "space")
    wait_until(lambda: state(dockerd) == "exited", 30)
    step("stopped")
    for number, page in enumerate(PAGES):
        screen.click(SIDEBAR_X, FIRST_PAGE_Y + PAGE_STEP * number)
        step(page)
    screen.keys("ctrl+1")
    screen.keys("Delete")
    screen.wait_for("^Delete by-hand")
    step("delete")
    screen.keys("Tab", "space")
    wait_until(lambda: not state(dockerd), 30)
    screen.wait_for("^Galley$")
    assert window.poll() is None
    screen.keys("ctrl+w")
    wait_until(lambda: window.poll() is not None, 20)
    assert window.returncode == 0


def pull_and_run(screen: Screen, step: Steps, dockerd: WindowDockerd, service: str) -> None:
    screen.keys("ctrl+k")
    screen.type("pull an image")
    step("palette")
    screen.keys("Return")
    screen.wait_for("^Pull an image$")
    screen.type(service)
    step("pull")
    screen.keys("Return")
    wait_until(lambda: has_image(dockerd, service), 60)
    screen.wait_for("^Galley$")
    step("pulled")
    screen.keys("ctrl+k")
    screen.type("run an image")
    screen.keys("Return")
    screen.wait_for("^Run a container$")
    screen.type(service)
    screen.keys("Tab")
    screen.type("by-hand")
    step("run")
    screen.keys("Return")
    wait_until(lambda: state(dockerd) == "running", 30)
    screen.wait_for("^Galley$")


def look_inside(screen: Screen, step: Steps, dockerd: WindowDockerd) -> None:
    """Every tab, by Ctrl+Tab, and something typed into the terminal."""
    screen.keys("ctrl+1", "ctrl+f")
    screen.type("by-hand")
    step("found")
    screen.keys("Down", "Return")
    step("logs")
    screen.keys("ctrl+Tab")
    wait_until(lambda: shells(dockerd) > 0, 30)
    screen.type("echo typed > /typed")
    screen.keys("Return")
    wait_until(lambda: "typed" in inside(dockerd, "cat", "/typed"), 30)
    step("terminal")
    for tab in ("files", "stats", "inside", "inspect"):
        screen.keys("ctrl+Tab")
        step(tab)
    screen.keys("ctrl+Tab", "ctrl+Tab")  # around to the terminal, whose session was kept
    screen.type("echo still > /typed")
    screen.keys("Return")
    wait_until(lambda: "still" in inside(dockerd, "cat", "/typed"), 30)
