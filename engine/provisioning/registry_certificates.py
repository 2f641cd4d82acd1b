"""The user's certificates for single registries, from docker's own folder.

    ~/.docker/certs.d/HOST:PORT/    ca.crt        the registry's authority
                                    client.cert   the client's certificate, with client.key

dockerd reads them at every request to a registry. The machine gets them once it can be reached, and
keeps them in memory only, for a key is among them. It reports on its console which ones it has.
Next: `provisioning.py`.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from engine.dockercli import config_json
from engine.messages.guest import (
    CERTIFICATES_NONE_IN_FILE,
    CERTIFICATES_REGISTRIES_NOT_TAKEN,
    CERTIFICATES_REGISTRY_UNUSABLE,
)
from engine.provisioning.certificates import COMMAND
from vm.errors import EngineFailed, HostError, Problem
from vm.guest.protocol import Guest
from vm.host import trust_store

FOLDER = "certs.d"
KINDS = (".crt", ".cert", ".key")  # as dockerd has them
SAID, NONE = "registries ", "none"  # on the guest's console: SAID, then a hash or NONE


class Found(msgspec.Struct, frozen=True):
    """`archive`: what the machine needs, b"" for none. `problems`: why others are left out."""

    archive: bytes = b""
    problems: tuple[Problem, ...] = ()


def wanted() -> Found:
    """The current ones. Never raises."""
    kept: dict[str, bytes] = {}
    problems = []
    for file in _files():
        try:
            kept[f"{file.parent.name}/{file.name}"] = _read(file)
        except HostError as error:
            problems.append(error.to_problem())
    return Found(_packed(kept), tuple(problems))


def update_guest(guest: Guest, archive: bytes, console: Sequence[str]) -> None:
    """Send them to the machine, unless it has them. Raises EngineFailed, GuestUnreachable."""
    has = next((line for line in reversed(console) if line.startswith(SAID)), SAID + NONE)
    if has == SAID + (hashlib.sha256(archive).hexdigest() if archive else NONE):
        return
    done = guest.run((COMMAND, "registries"), stdin=archive)
    if not done.ok:
        raise EngineFailed(
            CERTIFICATES_REGISTRIES_NOT_TAKEN,
            details=done.tail(),
        )


def _files() -> Iterator[Path]:
    try:
        folders = sorted((config_json.folder() / FOLDER).iterdir())
        for folder in folders:
            if re.fullmatch(r"[\w.:\[\]-]+", folder.name, re.ASCII) and folder.is_dir():
                yield from (file for file in sorted(folder.iterdir()) if file.suffix in KINDS)
    except OSError:  # there is none, or this user may not read it
        return


def _read(file: Path) -> bytes:
    """Raises HostError."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise HostError(
            CERTIFICATES_REGISTRY_UNUSABLE,
            file=file,
            reason=error.strerror,
            details=str(error),
        ) from error
    if file.suffix != ".key" and not any(trust_store.decode(data)):
        raise HostError(
            CERTIFICATES_NONE_IN_FILE,
            file=file,
        )
    return data


def _packed(files: dict[str, bytes]) -> bytes:
    """The same bytes for the same files."""
    if not files:
        return b""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
