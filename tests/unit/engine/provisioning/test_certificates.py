"""Which certificates a machine gets, and when; the trust store is a file of the test's own."""

import hashlib
import time
from pathlib import Path
from typing import cast

import pytest

from engine.provisioning import certificates
from engine.provisioning.certificates import Trusted
from tests.authorities import Authority
from vm.errors import EngineFailed
from vm.guest.protocol import Guest
from vm.host import trust_store
from vm.host.process import Completed
from vm.image import CERTIFICATES

EVERYBODYS = Authority("Everybody's")
OURS = Authority("Ours")


class ScriptedGuest:
    def __init__(self, code: int = 0) -> None:
        self._code = code
        self.given: list[bytes] = []

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        self.given.append(stdin)
        return Completed(argv, self._code, b"", b"said why")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store.pem"))
    (tmp_path / CERTIFICATES).write_bytes(EVERYBODYS.pem)
    return tmp_path / "store.pem"


def test_only_what_the_image_lacks_is_sent(store: Path) -> None:
    store.write_bytes(b"# Ours\r\n" + OURS.pem.replace(b"\n", b"\r\n") + EVERYBODYS.pem + OURS.pem)
    assert trust_store.read() == (OURS.der, EVERYBODYS.der)
    assert certificates.wanted(store.parent) == Trusted(OURS.pem)
    store.write_bytes(EVERYBODYS.pem)
    assert certificates.wanted(store.parent) == Trusted()


def test_one_that_has_ended_is_left_out_and_told(store: Path) -> None:
    store.write_bytes(Authority("Old & tired", days=-1).pem + OURS.pem)
    found = certificates.wanted(store.parent)
    assert found.pem == OURS.pem
    [problem] = found.problems
    assert problem.summary.startswith("The certificate of Old & tired is not used: it ended on ")
    assert "trust store" in problem.hint
    later = time.time() + 31 * 86400
    assert len(certificates.select([OURS.der], later).problems) == 1
    assert certificates.select([OURS.der], later + certificates.NEWS) == Trusted()


def test_what_is_no_certificate_is_left_out(store: Path) -> None:
    wrong = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
    store.write_bytes(wrong % b"AAAA" + wrong % b"A" + OURS.pem + OURS.pem[:100])
    assert certificates.wanted(store.parent) == Trusted(OURS.pem)


def test_a_servers_own_certificate_may_be_trusted(store: Path) -> None:
    server, _ = OURS.server("127.0.0.1")
    store.write_bytes(server)
    assert certificates.wanted(store.parent) == Trusted(server)


def test_a_store_that_cannot_be_read_is_told(store: Path) -> None:
    [problem] = certificates.wanted(store.parent).problems
    assert "cannot be read" in problem.summary
    assert "SSL_CERT_FILE" in problem.hint


def test_an_image_of_an_older_galley(store: Path, tmp_path: Path) -> None:
    store.write_bytes(OURS.pem)
    assert certificates.wanted(tmp_path / "elsewhere") == Trusted()


def said(pem: bytes) -> str:
    return "certificates " + hashlib.sha256(pem).hexdigest()


@pytest.mark.parametrize(
    ("console", "pem", "is_news"),
    [
        ([], b"", False),
        ([said(b"")], b"", False),
        ([said(OURS.pem), "engine"], OURS.pem, False),
        ([], OURS.pem, True),
        ([said(OURS.pem)], b"", True),
        ([said(OURS.pem), said(b"")], OURS.pem, True),
    ],
)
def test_a_machine_gets_what_it_lacks(console: list[str], pem: bytes, is_news: bool) -> None:
    guest = ScriptedGuest()
    assert certificates.update_guest(cast(Guest, guest), pem, console) is is_news
    assert guest.given == [pem] * is_news


def test_a_machine_that_takes_none() -> None:
    with pytest.raises(EngineFailed, match="does not take") as caught:
        certificates.update_guest(cast(Guest, ScriptedGuest(1)), OURS.pem, [])
    assert "said why" in caught.value.details
