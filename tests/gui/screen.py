"""A screen of its own for the real window, and the hands of a user. Standard library only.

Xvfb is the screen, matchbox manages windows on it, xdotool types. Nothing here knows Galley's code:
what is true is asked of dockerd, or seen on the screen.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.unit.engine.bridge.servers import wait_until

# To start Qt takes longer than to look. A line for each look, and one in answer: where the picture
# is to be, or a part of the screen, which has ink where it is of more than one colour.
EYES = """
import sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
for line in sys.stdin:
    word, *rest = line.rstrip("\\n").split("\\t")
    if word == "picture":
        said = app.primaryScreen().grabWindow(0).save(rest[0])
    else:
        image = app.primaryScreen().grabWindow(0, *map(int, rest)).toImage()
        places = [(x, y) for x in range(image.width()) for y in range(image.height())]
        said = len({image.pixel(x, y) for x, y in places}) > 1
    print(said, flush=True)
"""


class Screen:
    def __init__(self, size: str = "1280x800x24", *, is_managed: bool = True) -> None:
        self._size = size
        self._is_managed = is_managed  # or every window is where and as large as it asks to be
        self._processes: list[subprocess.Popen[bytes]] = []
        self._eyes: subprocess.Popen[str] | None = None
        self.display = ""

    def start(self) -> None:
        """Xvfb takes the first number that is free, and tells it."""
        reading, writing = os.pipe()
        xvfb = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", self._size, "-nolisten", "tcp"],
            pass_fds=(writing,),
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        self._processes.append(xvfb)
        with os.fdopen(reading) as told:
            self.display = f":{told.readline().strip()}"
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
        if self._eyes is not None:
            self._eyes.communicate(timeout=20)  # nothing more to look at
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
        return {**kept, "DISPLAY": self.display, **(more or {})}

    def open(self, argv: list[str], log: Path, more: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """A program on this screen; it is ended with it."""
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
        """Until such a window is on the screen and, with a window manager, has the keyboard."""
        wait_until(lambda: self._focused(title) if self._is_managed else self.shows(title), 30)

    def keys(self, *names: str) -> None:
        """Press one after another: "ctrl+k", "Return", "Tab"."""
        done = self._xdotool("key", "--delay", "40", *names)
        assert done.returncode == 0, done.stderr

    def type(self, text: str) -> None:
        done = self._xdotool("type", "--delay", "25", text)
        assert done.returncode == 0, done.stderr

    def burst(self, text: str, delay_ms: int = 0) -> None:
        """Type faster than anybody can: no key waits for the one before. "\\n" is Return."""
        words: list[str] = []
        for line in text.split("\n"):
            words += ["type", "--args", "1", "--delay", str(delay_ms), line] if line else []
            words += ["key", "--delay", "0", "Return"]
        done = self._xdotool(*words[:-4])
        assert done.returncode == 0, done.stderr

    def click(self, x: int, y: int) -> None:
        """With the left button, at a place of the screen."""
        done = self._xdotool("mousemove", str(x), str(y), "click", "1")
        assert done.returncode == 0, done.stderr

    def picture(self, path: Path) -> None:
        """What a user sees now."""
        assert self._look("picture", str(path))

    def wait_for_ink(self, x: int, y: int, width: int, height: int) -> None:
        """Until this part of the screen is of more than one colour."""
        place = [str(number) for number in (x, y, width, height)]
        wait_until(lambda: self._look("ink", *place), 60)

    def _focused(self, title: str) -> bool:
        """A window is shown before it has the keyboard: keys in between go nowhere."""
        found = self._xdotool("getwindowfocus", "getwindowname")
        return re.search(title, found.stdout.decode().strip()) is not None

    def _look(self, *words: str) -> bool:
        if self._eyes is None:
            self._eyes = subprocess.Popen(
                [sys.executable, "-c", EYES],
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._eyes.stdin is not None
        assert self._eyes.stdout is not None
        self._eyes.stdin.write("\t".join(words) + "\n")
        self._eyes.stdin.flush()
        said = self._eyes.stdout.readline()
        assert said, "there is no screen to look at"
        return said == "True\n"

    def _xdotool(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["xdotool", *words], env=self.environment(), capture_output=True, check=False
        )


class Steps:
    """Takes a picture of each, numbered."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        self._screen = screen
        self._folder = folder
        self._number = 0

    def __call__(self, name: str) -> None:
        self._number += 1
        self._screen.picture(self._folder / f"{self._number:02}-{name}.png")
