"""One zip file with everything for a bug report.

What Galley itself does not write is taken field by field from a list (`harmless.py`): no command,
environment, label or option of a container or of dockerd. Everything then goes through `redact.py`,
which removes known secrets and the known shapes of secrets. Logs hold free text, so their reader
still has to look through them. Binary files stay out. What cannot be read is named in its place.
"""

import io
import platform
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from engine import __version__
from engine.bridge.unix import connect
from engine.diagnose import harmless
from engine.diagnose.facts import Facts
from engine.diagnose.redact import Redactor
from engine.diagnose.run import Result
from engine.dockerapi.http import HttpError, get_json
from engine.dockercli.tools import docker_cli
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.host import process
from vm.host.paths import write_atomic

LOG_BYTES = 2 << 20  # of each log, its end
GUEST_LOGS = {"dockerd.log": "/var/log/dockerd.log", "containerd.log": "/var/log/containerd.log"}
GUEST_COMMANDS: dict[str, tuple[str, ...]] = {
    "dmesg.txt": ("dmesg",),
    "processes.txt": ("ps", "-o", "pid,ppid,user,vsz,rss,stat,comm"),  # no arguments
    "disk.txt": ("df",),
    "memory.txt": ("free",),
    "network.txt": ("ip", "addr"),
}
ENGINE_QUESTIONS: dict[str, tuple[str, Any]] = {  # requests on the host's own socket
    "info.json": ("/info", harmless.Info),
    "version.json": ("/version", harmless.Version),
    "containers.json": ("/containers/json?all=1", list[harmless.Container]),
    "networks.json": ("/networks", list[harmless.Network]),
}
HOST_PROGRAMS = (
    ("qemu-system-x86_64", "--version"),
    ("qemu-system-aarch64", "--version"),
    ("docker", "version"),
)


def write_bundle(target: Path, facts: Facts, results: tuple[Result, ...]) -> tuple[str, ...]:
    """Write the zip in one step; return the names in it. Raises HomeUnusable, DiskFull."""
    redactor, buffer, names = Redactor(facts.home), io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _entries(facts, results):
            archive.writestr(name, redactor.data(data))
            names.append(name)
    write_atomic(target, buffer.getvalue())
    return tuple(names)


def _entries(facts: Facts, results: tuple[Result, ...]) -> Iterator[tuple[str, bytes]]:
    yield "versions.txt", _versions().encode()
    yield "checks.json", _json(results)
    yield "status.json", _json(facts.status)
    yield "observation.json", _json(facts.observation)
    yield "settings.json", _json(facts.settings)  # not the file, which may have comments
    if facts.home.daemon_config.exists():
        yield "daemon.json", harmless.daemon_config(_end_of(facts.home.daemon_config))
    yield "spec.json", _end_of(MachineDir.of(facts.home).spec)
    yield "files.txt", _listing(facts.home.root).encode()
    for path in sorted(facts.home.logs.glob("*.log*")):
        yield f"logs/{path.name}", _end_of(path)
    if facts.status is not None:
        for name, (question, kind) in ENGINE_QUESTIONS.items():
            yield f"engine/{name}", _answer(facts.home.docker_socket, question, kind)
    if facts.guest is not None:
        run = facts.guest.run
        for name, log_path in GUEST_LOGS.items():
            end = ("tail", "-c", str(LOG_BYTES), log_path)
            log = _whole_lines(_output(partial(run, end, timeout=15)), LOG_BYTES)
            yield f"guest/{name}", harmless.log_lines(log)
        for name, argv in GUEST_COMMANDS.items():
            yield f"guest/{name}", _output(partial(run, argv, timeout=15))


def _versions() -> str:
    lines = [
        f"Galley {__version__}",
        f"Python {sys.version}",
        f"System {platform.platform()}",
        f"Time {time.strftime('%Y-%m-%d %H:%M:%S %z')}",
    ]
    for argv in HOST_PROGRAMS:
        if argv[0] != "docker" or docker_cli():
            lines.append(_output(partial(process.run, argv, timeout=10)).decode(errors="replace"))
    return "\n".join(lines)


def _output(command: Callable[[], process.Completed]) -> bytes:
    try:
        done = command()
    except GalleyError as error:
        return f"{error.summary}\n".encode()
    return done.stdout + done.stderr


def _answer(socket: Path, path: str, kind: Any) -> bytes:
    try:
        return _json(get_json(lambda: connect(socket, own=True), path, kind))
    except (GalleyError, HttpError, OSError) as error:
        return f"{error}\n".encode()


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def _end_of(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return _whole_lines(file.read(), LOG_BYTES)
    except OSError as error:
        return f"{path.name}: {error.strerror}\n".encode()


def _whole_lines(data: bytes, limit: int) -> bytes:
    """Without the first line where `limit` bytes are the end of more: without its beginning, a line
    does not show what it is."""
    return data if len(data) < limit else data.partition(b"\n")[2]


def _listing(root: Path) -> str:
    """Names, sizes and modes, which explain many a failure; no content."""
    lines = []
    for path in sorted(root.rglob("*")):
        seen = path.lstat()
        blocks = getattr(seen, "st_blocks", 0)
        lines.append(f"{seen.st_mode:o} {seen.st_size:>14} {blocks:>10} {path.relative_to(root)}")
    return "\n".join(lines)
