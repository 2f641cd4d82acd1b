"""A Galley that shares folders, and the work of containers in them. Next: `test_shares.py`."""

import json
import threading
from pathlib import Path
from typing import Any

import msgspec

from tests.e2e.galley import Galley

PYTHON = "galley-python"
DATABASES_AND_EDITORS = """
import fcntl, json, mmap, os
done = {}
open("file", "w").write("old")
old = open("file")
with open("new", "w") as new:
    new.write("new")
    new.flush()
    os.fsync(new.fileno())
os.rename("new", "file")
done["renamed over open"] = [old.read(), open("file").read()]
os.fsync(os.open(".", os.O_RDONLY))

with open("mapped", "wb+") as file:
    file.truncate(8192)
    with mmap.mmap(file.fileno(), 8192) as mapped:
        mapped[4096:4100] = b"page"
        mapped.flush()
done["mapped"] = open("mapped", "rb").read()[4096:4100].decode()

def locked(lock):
    held = open("locked", "w+")
    lock(held, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:
        try:
            lock(open("locked", "w+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(7)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
done["locks"] = [locked(fcntl.flock), locked(fcntl.lockf)]

with open("sparse", "wb") as file:
    file.seek(5 << 30)
    file.write(b"end")
with open("sparse", "rb") as file:
    file.seek(5 << 30)
    done["sparse"] = [file.read().decode(), os.stat("sparse").st_size]
with open("appended", "a") as one, open("appended", "a") as two:
    for number in range(10):
        print(number, file=one, flush=True)
        print(number, file=two, flush=True)
done["appended"] = len(open("appended").readlines())
os.unlink("file")
done["deleted but open"] = old.seek(0) == 0 and old.read() == "old"
print(json.dumps(done))
"""


class Shared(msgspec.Struct, frozen=True):
    """A Galley with the folders `rw`, `ro` (read-only), and `odd`, whose name is unusual."""

    galley: Galley
    root: Path
    by: str

    @property
    def rw(self) -> Path:
        return self.root / "rw"

    def bind(self, folder: Path | str, *words: str, check: bool = True) -> tuple[int, str]:
        """`docker run` with the folder as /x; returns its exit code and its output."""
        words = ("run", "--rm", "-v", f"{folder}:/x", "-w", "/x", PYTHON, *words)
        done = self.galley.docker(*words, check=check)
        return done.returncode, (done.stdout + done.stderr).decode()

    def python(self, script: str, folder: Path | None = None) -> Any:
        """Runs a script in a container with the folder as its working directory; returns its JSON
        output."""
        words = ("run", "--rm", "-i", "-v", f"{folder or self.rw}:/x", "-w", "/x", PYTHON)
        done = self.galley.docker(*words, "python", "-S", "-", stdin=script.encode())
        return json.loads(done.stdout)


PAGE, PAGES = 8192, 16


class Writer:
    """A container that writes to a share as a database does: it appends a line to a log and then
    writes a page in place, each synced. `last` is the last number for which both are synced."""

    SCRIPT = f"""
import os
log = open("/x/lines", "a")
pages = os.open("/x/pages", os.O_RDWR | os.O_CREAT)
os.ftruncate(pages, {PAGE * PAGES})
for number in range(1 << 30):
    log.write(f"{{number}}\\n")
    log.flush()
    os.fsync(log.fileno())
    os.pwrite(pages, number.to_bytes(4, "big") * {PAGE // 4}, number % {PAGES} * {PAGE})
    os.fdatasync(pages)
    print(number, flush=True)
"""

    def __init__(self, shared: Shared) -> None:
        words = ["docker", "-H", shared.galley.docker_host, "run", "--name", "writer"]
        words += ["-v", f"{shared.rw}:/x", PYTHON, "python", "-S", "-c", self.SCRIPT]
        self.last = -1
        self.enough = threading.Event()
        self._client = shared.galley.popen(words)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._client.stdout is not None
        for line in self._client.stdout:
            if line.strip().isdigit():
                self.last = int(line)
            if self.last >= 200:
                self.enough.set()

    def end(self) -> None:
        self._client.wait(60)
        self._reader.join()
        assert self._client.stdout is not None
        self._client.stdout.close()

    def check(self, folder: Path) -> None:
        """Checks that everything reported as synced is there, or was overwritten later."""
        count = self.last + 1
        lines = (folder / "lines").read_text().split()
        assert [int(line) for line in lines[:count]] == list(range(count))
        pages = (folder / "pages").read_bytes()
        for number in range(count - PAGES, count):
            at = number % PAGES * PAGE
            found = {pages[place : place + 4] for place in range(at, at + PAGE, 4)}
            kept = {int.from_bytes(word, "big") for word in found}
            assert all(each >= number and each % PAGES == number % PAGES for each in kept), kept
