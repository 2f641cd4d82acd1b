"""200 `docker exec` at once: each creates, starts, reads its output and its exit code.

The requests are those of the docker CLI, without 200 docker processes on this computer. Next:
`tests/unit/engine/bridge/test_many.py`, the same without a VM.
"""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.bench.figures import Row, at_most, compared, row
from tests.bench.http_endpoints import HttpEndpoint, ask
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of
from tests.e2e.galley import IMAGE

NAME = "galley-execs"
OUTPUT = b"it works\n"


def measure(lab: Lab) -> Iterator[Row]:
    raw, bridge = lab.raw(), lab.bridge()
    count = lab.times(200, 20)
    galley = lab.running()
    galley.docker("run", "-d", "--name", NAME, IMAGE, "sleep", "100000")
    failures: list[str] = []

    def burst(endpoint: HttpEndpoint) -> float:
        return seconds_of(lambda: _at_once(endpoint, count, failures))

    _at_once(raw, 10, failures)  # to warm up
    times = alternate(lab.times(2, 1), lambda: burst(bridge), lambda: burst(raw))
    for failure in sorted(set(failures)):
        print(failure, file=sys.stderr)
    yield compared(f"exec.{count}_at_once", "s", times, at_most(1.3))
    yield row("exec.failures", len(failures), "", n=count * len(times[0]) * 2, goal=at_most(0))
    galley.docker("rm", "-f", NAME)


def _at_once(endpoint: HttpEndpoint, count: int, failures: list[str]) -> None:
    with ThreadPoolExecutor(count) as pool:
        for failed in pool.map(partial(_failure, endpoint), range(count)):
            if failed:
                failures.append(failed)


def _failure(endpoint: HttpEndpoint, _: int) -> str:
    """Runs one exec; returns the error, or "" if there is none."""
    try:
        config = {"Cmd": ["echo", OUTPUT.decode().strip()], "AttachStdout": True}
        made = ask(endpoint, "POST", f"/containers/{NAME}/exec", json.dumps(config).encode())
        run = json.loads(made)["Id"]
        output = ask(endpoint, "POST", f"/exec/{run}/start", b'{"Detach": false, "Tty": false}')
        code = json.loads(ask(endpoint, "GET", f"/exec/{run}/json"))["ExitCode"]
    except (OSError, ValueError, KeyError) as error:
        return repr(error)
    # The output follows a stream header of eight bytes.
    return "" if code == 0 and output[8:] == OUTPUT else f"exit {code}, said {output!r}"
