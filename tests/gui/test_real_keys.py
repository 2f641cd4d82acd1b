"""The window as a user meets it: its own process, a real X screen, only keys."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gui.conftest import WindowDockerd
from tests.gui.screen import Screen
from tests.unit.engine.bridge.servers import docker, wait_until

SERVICE = "galley-service"
COMMAND = 'CMD ["sh","-c","trap \'exit 0\' TERM; echo ready; sleep 1000 & wait"]'


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def service(dockerd: WindowDockerd) -> Iterator[str]:
    """An image that runs by itself; afterwards neither it nor its containers are there."""
    packed = str(dockerd.folder / "image.tar")
    assert docker(dockerd.socket, "import", "--change", COMMAND, packed, SERVICE).returncode == 0
    yield SERVICE
    docker(dockerd.socket, "rm", "-f", "by-hand")
    docker(dockerd.socket, "rmi", "-f", SERVICE)


@pytest.fixture
def window(
    screen: Screen, dockerd: WindowDockerd, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """It looks at the test's dockerd, which it knows as a docker context."""
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
    said = (tmp_path / "window.log").read_text()
    galley = Path(sys.executable).with_name("galley")
    subprocess.run([galley, "quit"], check=True, capture_output=True)
    assert "Traceback" not in said, said


def state(dockerd: WindowDockerd) -> str:
    """Of the container that the user makes; "" while there is none."""
    seen = docker(dockerd.socket, "inspect", "--format", "{{.State.Status}}", "by-hand")
    return seen.stdout.decode().strip()


def test_run_look_stop_and_delete_by_keys_alone(
    screen: Screen, window: subprocess.Popen[bytes], dockerd: WindowDockerd, service: str
) -> None:
    screen.keys("ctrl+k")
    screen.type("run an image")
    screen.keys("Return")
    screen.wait_for("^Run a container$")
    screen.type(f"{service}:latest")
    screen.keys("Tab")
    screen.type("by-hand")
    screen.keys("Return")
    wait_until(lambda: state(dockerd) == "running", 30)
    wait_until(lambda: not screen.shows("^Run a container$"), 30)
    screen.keys("ctrl+1", "ctrl+f")
    screen.type("by-hand")
    screen.keys("Down", "space")
    wait_until(lambda: state(dockerd) == "exited", 30)
    screen.keys("Return", "Escape", "Delete")
    screen.wait_for("^Delete by-hand")
    screen.keys("Tab", "space")
    wait_until(lambda: not state(dockerd), 30)
    assert window.poll() is None
    screen.keys("ctrl+w")
    wait_until(lambda: window.poll() is not None, 20)
    assert window.returncode == 0
