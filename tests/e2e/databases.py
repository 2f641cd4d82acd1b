"""A real database under a write load: Debian's redis in a container.

Every write is one transaction of three keys and is synced before the next one. So the keys agree in
a copy of the disk from any moment, and redis's own checker finds no error.
"""

import shutil
import tarfile
from io import BytesIO
from pathlib import Path

from tests.e2e.galley import Galley, busybox_tar
from tests.e2e.pythons import libraries_of

REDIS_IMAGE = "galley-test-redis"
SERVE = "redis-server --dir /data --appendonly yes --appendfsync always --save ''"
WRITE = (
    "local n = redis.call('INCR', 'count') redis.call('RPUSH', 'numbers', n) "
    "redis.call('HSET', 'squares', n, n * n) return n"
)
# Returns the count of numbers and the count of wrong keys.
CHECK = (
    "local n, wrong = tonumber(redis.call('GET', 'count') or 0), 0 "
    "local numbers = redis.call('LRANGE', 'numbers', 0, -1) "
    "if #numbers ~= n or redis.call('HLEN', 'squares') ~= n then wrong = wrong + 1 end "
    "for i = 1, n do "
    "if tonumber(numbers[i]) ~= i then wrong = wrong + 1 end "
    "if tonumber(redis.call('HGET', 'squares', i)) ~= i * i then wrong = wrong + 1 end end "
    "return {n, wrong}"
)


class Redis:
    """A container named `redis` with a volume of that name, and its writer."""

    def __init__(self, galley: Galley) -> None:
        self._galley = galley
        galley.docker("import", "-", REDIS_IMAGE, stdin=redis_tar())
        words = ["run", "-d", "--name", "redis", "-v", "redis:/data", REDIS_IMAGE]
        galley.docker(*words, "sh", "-c", SERVE)
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        ping = ("exec", "redis", "redis-cli", "ping")
        docker = self._galley.docker
        self._galley.wait_for(lambda: docker(*ping, check=False).stdout == b"PONG\n", "redis")

    def begin_writing(self) -> None:
        self._galley.docker("exec", "-d", "redis", "redis-cli", "-r", "-1", "EVAL", WRITE, "0")
        self.wait_for_more(100)

    def start_writer(self) -> None:
        """As `begin_writing`, in a separate container that logs each number redis acknowledged."""
        words = ["run", "-d", "--name", "writer", "--network", "container:redis", REDIS_IMAGE]
        self._galley.docker(*words, "redis-cli", "-r", "-1", "EVAL", WRITE, "0")
        self.wait_for_more(100)

    def acknowledged(self) -> int:
        """The last acknowledged number; checks that all before it were acknowledged too."""
        stdout = self._galley.docker("logs", "writer").stdout
        numbers = [int(line) for line in stdout.split()]
        assert numbers == list(range(1, len(numbers) + 1)), "a number is missing"
        return len(numbers)

    def count(self) -> int:
        return int(self._galley.docker("exec", "redis", "redis-cli", "GET", "count").stdout or 0)

    def wait_for_more(self, more: int) -> None:
        wanted = more + self.count()
        self._galley.wait_for(lambda: self.count() >= wanted, "redis counts on")

    def check_files(self) -> None:
        """Runs redis's own checker, before a server can repair the files."""
        manifest = "/data/appendonlydir/appendonly.aof.manifest"
        words = ["run", "--rm", "-v", "redis:/data", REDIS_IMAGE, "redis-check-aof", manifest]
        stdout = self._galley.docker(*words).stdout
        assert b"All AOF files and manifest are valid" in stdout, stdout

    def check_content(self) -> int:
        """Checks that the keys agree; returns the count of numbers."""
        stdout = self._galley.docker("exec", "redis", "redis-cli", "EVAL", CHECK, "0").stdout
        count, wrong = map(int, stdout.split())
        assert wrong == 0
        return count

    def remove(self) -> None:
        self._galley.docker("rm", "-f", "writer", "redis", check=False)
        self._galley.docker("volume", "rm", "-f", "redis", check=False)
        self._galley.docker("rmi", "-f", REDIS_IMAGE, check=False)


def redis_tar() -> bytes:
    """Debian's redis beside busybox: one program, whose name selects what it does."""
    buffer = BytesIO(busybox_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        needed = set()
        for name in ("redis-server", "redis-cli"):
            program = Path(shutil.which(name) or f"/usr/bin/{name}").resolve()
            tar.add(program, f"bin/{name}")
            needed |= libraries_of(program)
        for library in sorted(needed):
            tar.add(library.resolve(), str(library))
        link = tarfile.TarInfo("bin/redis-check-aof")
        link.type, link.linkname = tarfile.SYMTYPE, "redis-server"
        tar.addfile(link)
    return buffer.getvalue()
