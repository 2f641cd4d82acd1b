"""The time to read a login from the keyring, which every `docker pull` does.

Next: `engine/credentials/keyring.py`.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from engine.credentials.keyring import Login, Logins
from engine.dockercli.tools import own_folder
from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of
from tests.unit.engine.secret_service import unlocked

SERVER = "registry.example.com"


def measure(lab: Lab) -> Iterator[Row]:
    """Needs no machine. The floor is the start-up time of Python."""
    rounds = lab.times(30, 5)
    program = str(own_folder() / "docker-credential-galley")
    with unlocked(), tempfile.TemporaryDirectory() as folder:
        Logins(Path(folder)).store(SERVER, Login("bob", "secret"))
        got, started = alternate(
            rounds,
            lambda: seconds_of(lambda: _run(program, "get")),
            lambda: seconds_of(lambda: _run(sys.executable, "-c", "pass")),
        )
    yield row("credentials.get", median(got) * 1000, "ms", n=rounds, goal=at_most(150))
    yield row("credentials.python", median(started) * 1000, "ms", n=rounds)


def _run(*command: str) -> None:
    subprocess.run(command, input=SERVER.encode(), capture_output=True, check=True)
