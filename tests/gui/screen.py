"""A virtual screen for the real window, with real keys and clicks. Standard library only.

Xvfb is the screen, matchbox manages windows on it, xdotool types. No code of Galley is used here:
tests check the state of dockerd, or the picture on the screen.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.unit.engine.bridge.servers import wait_until

# One process for all grabs, because Qt takes long to start. A request is a line, as is the answer:
# the file for a picture, or an area of the screen, which has ink if it has more than one colour.
GRABBER = """
import sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
for line in sys.stdin:
    word, *rest = line.rstrip("\\n").split("\\t")
    if word == "picture":
        answer = app.primaryScreen().grabWindow(0).save(rest[0])
    else:
        image = app.primaryScreen().grabWindow(0, *map(int, rest)).toImage()
        pixels = [(x, y) for x in range(image.width()) for y in range(image.height())]
        answer = len({image.pixel(x, y) for x, y in pixels}) > 1
    print(answer, flush=True)
"""


class Screen:
    def __init__(self, size: str = "1280x800x24", *, is_managed: bool = True) -> None:
        self._size = size
        self._is_managed = is_managed  # else a window has the position and size that it requests
        self._processes: list[subprocess.Popen[bytes]] = []
        self._grabber: subprocess.Popen[str] | None = None
        self.display = ""

    def start(self) -> None:
        """Xvfb takes the first free display number and writes it to the pipe."""
        reading, writing = os.pipe()
        xvfb = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", self._size, "-nolisten", "tcp"],
            pass_fds=(writing,),
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        self._processes.append(xvfb)
        with os.fdopen(reading) as pipe:
            self.display = f":{pipe.readline().strip()}"
        if not self._is_managed:
            return
        self._processes.append(
            subprocess.Popen(
                ["matchbox-window-manager", "-use_titlebar", "no"],
                env=self.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def stop(self) -> None:
        if self._grabber is not None:
            self._grabber.communicate(timeout=20)  # the end of its input
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
        return {**inherited, "DISPLAY": self.display, **(more or {})}

    def open(self, argv: list[str], log: Path, more: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a program on this screen; `stop` ends it."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv, env=self.environment(more), stdout=output, stderr=output
            )
        self._processes.append(process)
        return process

    def shows(self, title: str) -> bool:
        """Whether a window with this title (a regular expression) is on the screen."""
        return self._xdotool("search", "--onlyvisible", "--name", title).returncode == 0

    def wait_for(self, title: str) -> None:
        """Wait until such a window is on the screen and, with a window manager, has the focus."""
        wait_until(lambda: self._focused(title) if self._is_managed else self.shows(title), 30)

    def keys(self, *names: str) -> None:
        """Press one after another: "ctrl+k", "Return", "Tab"."""
        done = self._xdotool("key", "--delay", "40", *names)
        assert done.returncode == 0, done.stderr

    def type(self, text: str) -> None:
        done = self._xdotool("type", "--delay", "25", text)
        assert done.returncode == 0, done.stderr

    def burst(self, text: str, delay_ms: int = 0) -> None:
        """Type faster than a user can: no key waits for the previous one. "\\n" is Return."""
        words: list[str] = []
        for line in text.split("\n"):
            words += ["type", "--args", "1", "--delay", str(delay_ms), line] if line else []
            words += ["key", "--delay", "0", "Return"]
        done = self._xdotool(*words[:-4])
        assert done.returncode == 0, done.stderr

    def click(self, x: int, y: int) -> None:
        """Click with the left button at a point of the screen."""
        done = self._xdotool("mousemove", str(x), str(y), "click", "1")
        assert done.returncode == 0, done.stderr

    def picture(self, path: Path) -> None:
        """Save the screen as it is now."""
        assert self._grab("picture", str(path))

    def wait_for_ink(self, x: int, y: int, width: int, height: int) -> None:
        """Wait until this area of the screen has more than one colour."""
        area = [str(number) for number in (x, y, width, height)]
        wait_until(lambda: self._grab("ink", *area), 60)

    def _focused(self, title: str) -> bool:
        """A window is visible before it has the focus, and keys in between are lost."""
        found = self._xdotool("getwindowfocus", "getwindowname")
        return re.search(title, found.stdout.decode().strip()) is not None

    def _grab(self, *words: str) -> bool:
        if self._grabber is None:
            self._grabber = subprocess.Popen(
                [sys.executable, "-c", GRABBER],
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._grabber.stdin is not None
        assert self._grabber.stdout is not None
        self._grabber.stdin.write("\t".join(words) + "\n")
        self._grabber.stdin.flush()
        answer = self._grabber.stdout.readline()
        assert answer, "the process that grabs the screen has ended"
        return answer == "True\n"

    def _xdotool(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["xdotool", *words], env=self.environment(), capture_output=True, check=False
        )


class Steps:
    """Takes a numbered picture of each step."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        self._screen = screen
        self._folder = folder
        self._number = 0

    def __call__(self, name: str) -> None:
        self._number += 1
        self._screen.picture(self._folder / f"{self._number:02}-{name}.png")
