"""An ordinary user for tests that run as root: runs programs as the user, with subordinate ids.

This computer's /etc stays unchanged: the user's programs see the test's own files in /etc.
"""

import os
import shutil
from pathlib import Path
from shlex import quote

import pytest

from vm.host import ownership

ID = 4322  # need not exist in /etc/passwd


class OrdinaryUser:
    """`folder` belongs to the user and, unlike pytest's own, may be entered by everyone; it is
    removed with its content. `etc`: the files that the user sees in /etc."""

    id = ID

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert os.getuid() == 0, "only root can be another user: run the tests as root"
        self.folder = folder
        os.chown(folder, ID, ID)
        self._unshare = shutil.which("unshare")
        self._programs = folder / "programs"
        self._shown: dict[Path, Path] = {}  # the real place by the place that the user sees
        self.etc = folder / "etc"
        for made in (self._programs, self.etc):
            made.mkdir(mode=0o755)
        known = Path("/etc/passwd").read_text()
        (self.etc / "passwd").write_text(f"{known}ann:x:{ID}:{ID}::/nonexistent:/bin/sh\n")
        for name in ("subuid", "subgid"):
            (self.etc / name).touch()
        monkeypatch.setenv("PATH", f"{self._programs}:{os.environ['PATH']}")
        # The code under test, run by root, accepts the user's processes and folders as its own.
        monkeypatch.setattr(ownership, "own_ids", lambda: frozenset((0, ID)))

    def lend(self, users: int, groups: int) -> None:
        """Gives the user 65536 subordinate ids from each of these on."""
        for name, first in (("subuid", users), ("subgid", groups)):
            (self.etc / name).write_text(f"ann:{first}:65536\n")

    def show(self, place: Path, name: str) -> Path:
        """Mounts a folder of the test for the user; returns its path for the user. Applies to later
        calls of `run_as` and `call`."""
        seen = self.folder / name
        seen.mkdir()
        self._shown[seen] = place.resolve()
        return seen

    def run_as(self, name: str, path: str | None = None) -> None:
        """Makes later calls of this program run as the user. `path`: where to find it, if not in
        PATH."""
        program = shutil.which(name, path=path)
        assert program is not None, f"{name} is not installed"
        self.call(name, program)

    def call(self, name: str, words: str) -> None:
        """Makes `name` in PATH run this command line as the user."""
        shown = (f"mount --bind {quote(str(place))} {seen}" for seen, place in self._shown.items())
        binds = (*shown, *(f"mount --bind {file} /etc/{file.name}" for file in self.etc.iterdir()))
        become = f"setpriv --reuid {ID} --regid {ID} --clear-groups"
        inner = " && ".join(("cd /", *binds, f'exec {become} {words} "$@"'))
        wrapper = self._programs / name
        wrapper.write_text(f'#!/bin/sh\nexec {self._unshare} -m sh -c {quote(inner)} sh "$@"\n')
        wrapper.chmod(0o755)
