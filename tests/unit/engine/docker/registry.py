"""A real registry in the network namespace of a test's dockerd, and a rate-limiting proxy to it.

Run as a program (`registry.py LISTEN TARGET RATE`) this module is the proxy: it forwards RATE bytes
a second, so that a test can observe a pull in progress.
"""

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.engine.bridge.servers import Dockerd, wait_until

PORT, SLOW_PORT = 5000, 5001  # in a namespace without other listeners
RATE = 4 * 1024 * 1024
FAST, SLOW = f"127.0.0.1:{PORT}", f"127.0.0.1:{SLOW_PORT}"

CONFIGURATION = """
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: "{folder}/registry"}}}}
http: {{addr: "{address}"}}
"""


class Registry:
    """A registry without a login, and the proxy in front of it."""

    def __init__(self, dockerd: Dockerd, folder: Path) -> None:
        self._inside = ["nsenter", f"--net=/run/netns/{dockerd._netns}"]
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        config = self._folder / "registry.yml"
        config.write_text(CONFIGURATION.format(folder=self._folder, address=FAST))
        self._run("registry.log", "listening on", "docker-registry", "serve", str(config))
        ports = (str(SLOW_PORT), str(PORT), str(RATE))
        root = str(Path(__file__).parents[4])
        program = ("env", f"PYTHONPATH={root}", sys.executable, __file__, *ports)
        self._run("proxy.log", "listening on", *program)

    def _run(self, log_name: str, ready: str, *command: str) -> None:
        log = self._folder / log_name
        with log.open("wb") as file:
            process = subprocess.Popen([*self._inside, *command], stdout=file, stderr=file)
        self._processes.append(process)
        wait_until(lambda: ready in log.read_text(), 30)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._processes.clear()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Stop the processes: connections stay open, and no data arrives."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)
        yield
        for process in self._processes:
            process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Delete every image."""
        shutil.rmtree(self._folder / "registry")


def _proxy(listen: int, target: int, rate: int) -> None:
    with socket.create_server(("127.0.0.1", listen)) as server:
        print("listening on", listen, flush=True)  # noqa: T201 - the parent waits for it
        while True:
            client, _ = server.accept()
            registry = socket.create_connection(("127.0.0.1", target))
            for source, sink, pace in ((client, registry, 0), (registry, client, rate)):
                threading.Thread(target=_copy, args=(source, sink, pace), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket, rate: int) -> None:
    pace = threading.Event()
    try:
        while data := source.recv(65536):
            sink.sendall(data)
            if rate:
                pace.wait(len(data) / rate)
    except OSError:  # either end has closed its connection
        pass
    for end in (source, sink):
        end.close()


if __name__ == "__main__":
    _proxy(*map(int, sys.argv[1:]))
