"""Containers use this computer's resolver, also after its configuration changes.

The Galley has its own /etc. Two name servers give different addresses for one name.
"""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUDPServer

import pytest

from tests.e2e.galley import GALLEY, IMAGE, Galley

NAME = "changes.example"
# Where each server listens, and its answer. Both are free loopback addresses.
SERVERS = {"127.45.0.1": "192.0.2.1", "127.45.0.2": "192.0.2.2"}
KEPT_FOR = 3600  # seconds; the answers' TTL, so that a cached answer fails the test
HEAD, QUESTION_TAIL, ADDRESS = 12, 4, 1  # bytes of a message, and the number of an A record


class NameServer(ThreadingUDPServer):
    """Resolves NAME to `address`; has no records of other types."""

    daemon_threads = True

    def __init__(self, listens: str, address: str) -> None:
        super().__init__((listens, 53), Answer)
        self.address = address


class Answer(BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        query, socket_ = self.request
        end = query.index(0, HEAD) + 1 + QUESTION_TAIL
        question, kind = query[HEAD:end], int.from_bytes(query[end - 4 : end - 2])
        name = b"".join(bytes([len(part)]) + part.encode() for part in NAME.split("."))
        known = question.startswith(name)
        answers = known and kind == ADDRESS
        flags = 0x8180 if known else 0x8183
        counts = (1).to_bytes(2) + answers.to_bytes(2) + bytes(4)
        record = b"\xc0\x0c" + question[-4:] + KEPT_FOR.to_bytes(4) + (4).to_bytes(2)
        record += socket.inet_aton(self.server.address)
        message = query[:2] + flags.to_bytes(2) + counts + question + (record if answers else b"")
        socket_.sendto(message, self.client_address)


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    with ExitStack() as stack:
        for listens, address in SERVERS.items():
            server = stack.enter_context(NameServer(listens, address))
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A copy of /etc, for the Galley only."""
    made = tmp_path / "etc"
    shutil.copytree("/etc", made, symlinks=True)
    (made / "resolv.conf").unlink(missing_ok=True)
    return made


def use(etc: Path, server: str) -> None:
    """Replaces resolv.conf by a rename, as this computer's network services do."""
    (etc / "new").write_text(f"nameserver {server}\n")
    (etc / "new").rename(etc / "resolv.conf")


def addresses(galley: Galley, *words: str) -> set[str]:
    """The addresses of NAME in a container."""
    done = galley.docker("run", "--rm", *words, IMAGE, "busybox", "nslookup", NAME, check=False)
    lines = done.stdout.decode().partition("Name:")[2].splitlines()
    return {line.split()[-1] for line in lines if line.startswith("Address")}


def test_names_follow_the_hosts_resolver(fresh: Galley, etc: Path) -> None:
    first, second = SERVERS
    use(etc, first)
    inside = ["unshare", "-m", "sh", "-c", f"mount --bind '{etc}' /etc && exec \"$@\"", "sh"]
    client = fresh.popen([*inside, *GALLEY, "start"])
    output, _ = client.communicate(timeout=240)
    assert client.returncode == 0, output.decode()
    fresh.load_image()
    fresh.docker("network", "create", "named")
    networks = ((), ("--network=named",), ("--network=host",))
    for words in networks:
        assert addresses(fresh, *words) == {SERVERS[first]}
    for server in (second, first):
        use(etc, server)
        wait_for_answer(fresh, SERVERS[server])
        for words in networks:
            assert addresses(fresh, *words) == {SERVERS[server]}


def wait_for_answer(galley: Galley, address: str) -> None:
    galley.wait_for(lambda: addresses(galley) == {address}, "the new name server is used")
