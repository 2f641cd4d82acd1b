"""A user's first steps by hand: `galley desktop` on a screen, with keys and clicks, on the real
machine.

The tests check results through docker, galley and the published port, not through the window. A
picture of each step is saved in the test's folder, or in $GALLEY_PICTURES.
"""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import registry
from tests.e2e.galley import GALLEY, Galley, busybox_tar
from tests.gui.screen import Screen, Steps

PORT = 18098
IMAGE = "by-hand"
READ = {  # x, y, width, height on the screen: blank until the tab's data is loaded
    "files": (240, 190, 400, 200),
    "stats": (640, 119, 78, 18),  # the CPU in figures
    "inside": (240, 400, 300, 40),  # from the second process on
    "inspect": (560, 190, 300, 200),
}
SERVE = (
    "trap 'exit 0' TERM; echo serving; while true; do "
    "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom the kitchen' | nc -l -p 80 & wait $!; done"
)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def step(screen: Screen, tmp_path: Path) -> Steps:
    folder = Path(os.environ.get("GALLEY_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return Steps(screen, folder)


def test_from_first_run_to_prune_by_hand(fresh: Galley, screen: Screen, step: Steps) -> None:
    open_window(fresh, screen)
    start(fresh, screen, step)
    reference = served_image(fresh)
    step("ready")
    pull(fresh, screen, step, reference)
    run(fresh, screen, step, reference)
    look_inside(fresh, screen, step)
    stop_and_delete(fresh, screen, step)
    prune(fresh, screen, step)
    screen.keys("ctrl+w")
    fresh.wait_for(lambda: not windows(fresh), "Ctrl+W ends the window")
    assert fresh.status()["state"] == "running"
    assert "Traceback" not in (fresh.home.logs / "window.log").read_text()


def open_window(galley: Galley, screen: Screen) -> None:
    """Runs `galley desktop`, which ends while the window stays open."""
    names = ("GALLEY_HOME", "DOCKER_CONFIG", "PYTHONPATH")
    env = screen.environment({name: galley.env[name] for name in names})
    subprocess.run([*GALLEY, "desktop"], env=env, check=True, capture_output=True, timeout=60)
    screen.wait_for("^Galley$")


def start(galley: Galley, screen: Screen, step: Steps) -> None:
    galley.wait_for(lambda: galley.status()["state"] == "absent", "the supervisor answers")
    step("welcome")
    screen.keys("space")
    galley.wait_for(lambda: galley.status()["state"] == "starting", "the engine starts")
    step("starting")
    galley.wait_for(galley.answers, "the engine answers")


def served_image(galley: Galley) -> str:
    """Provides an image that serves on port 80, in the registry; returns its reference."""
    serves = f"CMD {json.dumps(['sh', '-c', SERVE])}"
    galley.docker("import", "--change", serves, "-", IMAGE, stdin=busybox_tar())
    return registry.serve(galley, IMAGE, f"{IMAGE}:1")


def pull(galley: Galley, screen: Screen, step: Steps, reference: str) -> None:
    command(screen, step, "pull an image", "^Pull an image$")
    screen.type(reference)
    step("pull")
    screen.keys("Return")
    galley.wait_for(lambda: succeeds(galley, "image", "inspect", reference), "the image is pulled")
    screen.wait_for("^Galley$")
    step("pulled")


def run(galley: Galley, screen: Screen, step: Steps, reference: str) -> None:
    command(screen, step, "run an image", "^Run a container$")
    screen.type(reference)
    screen.keys("Tab")
    screen.type("by-hand")
    screen.keys("Tab", "space")  # "Add a port"
    screen.type("80")
    screen.keys("Tab", "Tab", "Tab")  # past its protocol and the address
    screen.type(str(PORT))
    step("run")
    screen.keys("Return")
    galley.wait_for(lambda: state(galley, "by-hand") == "running", "the container runs")
    screen.wait_for("^Galley$")
    galley.wait_for(is_served, "the port answers")
    step("running")


def look_inside(galley: Galley, screen: Screen, step: Steps) -> None:
    """Opens every tab with Ctrl+Tab, up to the terminal again, which has kept its session."""
    screen.keys("ctrl+1", "ctrl+f")
    screen.type("by-hand")
    step("found")
    screen.keys("Down", "Return")
    step("logs")
    screen.keys("ctrl+Tab")
    galley.wait_for(lambda: shells(galley) > 0, "a terminal opens")
    type_and_see(galley, screen, "once")
    step("terminal")
    for tab, place in READ.items():
        screen.keys("ctrl+Tab")
        screen.wait_for_ink(*place)
        step(tab)
    screen.keys("ctrl+Tab", "ctrl+Tab")
    type_and_see(galley, screen, "twice")
    step("terminal-again")


def type_and_see(galley: Galley, screen: Screen, word: str) -> None:
    screen.type(f"echo $((6 * 7)) {word} > typed; cat typed")
    screen.keys("Return")
    galley.wait_for(
        lambda: f"42 {word}" in docker_output(galley, "exec", "by-hand", "cat", "/typed"),
        "the shell runs it",
    )


def stop_and_delete(galley: Galley, screen: Screen, step: Steps) -> None:
    screen.keys("ctrl+Tab", "Escape", "space")  # a shown terminal takes Escape itself
    galley.wait_for(lambda: state(galley, "by-hand") == "exited", "Space stops it")
    step("stopped")
    screen.keys("Delete")
    agree(screen, step, "^Delete by-hand")
    galley.wait_for(lambda: not state(galley, "by-hand"), "the container is deleted")
    screen.wait_for("^Galley$")


def prune(galley: Galley, screen: Screen, step: Steps) -> None:
    """Stops the registry's container and prunes it."""
    screen.keys("ctrl+f", "ctrl+a", "Delete", "Down", "space")
    galley.wait_for(lambda: state(galley, "registry") == "exited", "Space stops it")
    command(screen, step, "delete stopped", "^Delete")
    agree(screen, step, "^Delete")
    galley.wait_for(lambda: not docker_output(galley, "ps", "-aq"), "no container is left")
    screen.wait_for("^Galley$")
    step("empty")


def command(screen: Screen, step: Steps, words: str, title: str) -> None:
    """Runs a command from the palette."""
    screen.keys("ctrl+k")
    screen.type(words)
    step(words.replace(" ", "-"))
    screen.keys("Return")
    screen.wait_for(title)


def agree(screen: Screen, step: Steps, title: str) -> None:
    """Confirms a question with Tab and Space; Enter alone does not confirm it."""
    screen.wait_for(title)
    step("question")
    screen.keys("Tab", "space")


def windows(galley: Galley) -> list[str]:
    return [line for line in galley.processes() if "-m desktop" in line]


def docker_output(galley: Galley, *words: str) -> str:
    return galley.docker(*words, check=False).stdout.decode().strip()


def succeeds(galley: Galley, *words: str) -> bool:
    return galley.docker(*words, check=False).returncode == 0


def state(galley: Galley, name: str) -> str:
    """A container's state; "" if it does not exist."""
    return docker_output(galley, "inspect", "--format", "{{.State.Status}}", name)


def shells(galley: Galley) -> int:
    """The number of running execs in the container."""
    count = docker_output(galley, "inspect", "--format", "{{len .ExecIDs}}", "by-hand")
    return int(count or 0)


def is_served() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=30) as response:
            return bool(response.read() == b"from the kitchen")
    except OSError:
        return False
