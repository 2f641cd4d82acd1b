"""An ordinary user, though the tests are root's: programs run as theirs, with ids lent to them.

This computer is told nothing of them: their programs see files of the test's own in /etc.
"""

import os
import shutil
from pathlib import Path
from shlex import quote

import pytest

from vm.host import ownership

ID = 4322  # nobody has to be called so


class OrdinaryUser:
    """`folder` is theirs, and may be entered by everybody, as pytest's own may not; what is in it
    goes with it.
    `etc`: the files that they see in /etc."""

    id = ID

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert os.getuid() == 0, "only root can be another user: run the tests as root"
        self.folder = folder
        os.chown(folder, ID, ID)
        self._unshare = shutil.which("unshare")
        self._programs = folder / "programs"
        self._lent: dict[Path, Path] = {}  # where it is, by where the user sees it
        self.etc = folder / "etc"
        for made in (self._programs, self.etc):
            made.mkdir(mode=0o755)
        known = Path("/etc/passwd").read_text()
        (self.etc / "passwd").write_text(f"{known}ann:x:{ID}:{ID}::/nonexistent:/bin/sh\n")
        for name in ("subuid", "subgid"):
            (self.etc / name).touch()
        monkeypatch.setenv("PATH", f"{self._programs}:{os.environ['PATH']}")
        # The test, run by root, takes the user's processes and folders for its own.
        monkeypatch.setattr(ownership, "own_ids", lambda: frozenset((0, ID)))

    def lend(self, users: int, groups: int) -> None:
        """65536 ids from each of these on."""
        for name, first in (("subuid", users), ("subgid", groups)):
            (self.etc / name).write_text(f"ann:{first}:65536\n")

    def show(self, place: Path, name: str) -> Path:
        """A folder of the test's that the user is to see, wherever it is; where they see it. For
        programs that `run_as` has from now on."""
        seen = self.folder / name
        seen.mkdir()
        self._lent[seen] = place.resolve()
        return seen

    def run_as(self, name: str, path: str | None = None) -> None:
        """Whoever runs this program from now on runs it as the user. `path`: where it is looked
        for, if not in PATH."""
        program = shutil.which(name, path=path)
        assert program is not None, f"{name} is not installed"
        self.call(name, program)

    def call(self, name: str, words: str) -> None:
        """What whoever calls `name` from now on runs as the user."""
        lent = (f"mount --bind {quote(str(place))} {seen}" for seen, place in self._lent.items())
        binds = (*lent, *(f"mount --bind {file} /etc/{file.name}" for file in self.etc.iterdir()))
        become = f"setpriv --reuid {ID} --regid {ID} --clear-groups"
        inner = " && ".join(("cd /", *binds, f'exec {become} {words} "$@"'))
        wrapper = self._programs / name
        wrapper.write_text(f'#!/bin/sh\nexec {self._unshare} -m sh -c {quote(inner)} sh "$@"\n')
        wrapper.chmod(0o755)
