"""Which certificates a machine gets, and when; the trust store is a temporary file."""

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

PUBLIC = Authority("Public")
OURS = Authority("Ours")


class ScriptedGuest:
    def __init__(self, code: int = 0) -> None:
        self._code = code
        self.given: list[bytes] = []

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        self.given.append(stdin)
        return Completed(argv, self._code, b"", b"the reason")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store.pem"))
    (tmp_path / CERTIFICATES).write_bytes(PUBLIC.pem)
    return tmp_path / "store.pem"


def test_only_certificates_missing_from_the_image_are_sent(store: Path) -> None:
    store.write_bytes(b"# Ours\r\n" + OURS.pem.replace(b"\n", b"\r\n") + PUBLIC.pem + OURS.pem)
    assert trust_store.read() == (OURS.der, PUBLIC.der)
    assert certificates.wanted(store.parent) == Trusted(OURS.pem)
    store.write_bytes(PUBLIC.pem)
    assert certificates.wanted(store.parent) == Trusted()


def test_an_expired_certificate_is_left_out_and_reported(store: Path) -> None:
    store.write_bytes(Authority("Old & tired", days=-1).pem + OURS.pem)
    found = certificates.wanted(store.parent)
    assert found.pem == OURS.pem
    [problem] = found.problems
    assert problem.summary.startswith("The certificate of Old & tired is not used: it ended on ")
    assert "trust store" in problem.hint
    later = time.time() + 31 * 86400
    assert len(certificates.select([OURS.der], later).problems) == 1
    assert certificates.select([OURS.der], later + certificates.NEWS) == Trusted()


def test_an_expired_certificate_that_the_distribution_ships_is_no_problem(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Authority("Old & tired", days=-1)
    (store.parent / "shipped" / "mozilla").mkdir(parents=True)
    (store.parent / "shipped" / "mozilla" / "Old.crt").write_bytes(old.pem)
    monkeypatch.setattr(trust_store, "SHIPPED", store.parent / "shipped")
    ours = Authority("Ours & tired", days=-1)
    store.write_bytes(old.pem + ours.pem + OURS.pem)
    found = certificates.wanted(store.parent)
    assert found.pem == OURS.pem
    [problem] = found.problems
    assert "Ours & tired" in problem.summary


def test_an_invalid_certificate_is_left_out(store: Path) -> None:
    wrong = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
    store.write_bytes(wrong % b"AAAA" + wrong % b"A" + OURS.pem + OURS.pem[:100])
    assert certificates.wanted(store.parent) == Trusted(OURS.pem)


def test_a_servers_own_certificate_may_be_trusted(store: Path) -> None:
    server, _ = OURS.server("127.0.0.1")
    store.write_bytes(server)
    assert certificates.wanted(store.parent) == Trusted(server)


def test_an_unreadable_trust_store_is_reported(store: Path) -> None:
    [problem] = certificates.wanted(store.parent).problems
    assert "cannot be read" in problem.summary
    assert "SSL_CERT_FILE" in problem.hint


def test_an_image_of_an_older_galley_gets_no_certificates(store: Path, tmp_path: Path) -> None:
    store.write_bytes(OURS.pem)
    assert certificates.wanted(tmp_path / "elsewhere") == Trusted()


def console_line(pem: bytes) -> str:
    return "certificates " + hashlib.sha256(pem).hexdigest()


@pytest.mark.parametrize(
    ("console", "pem", "is_sent"),
    [
        ([], b"", False),
        ([console_line(b"")], b"", False),
        ([console_line(OURS.pem), "engine"], OURS.pem, False),
        ([], OURS.pem, True),
        ([console_line(OURS.pem)], b"", True),
        ([console_line(OURS.pem), console_line(b"")], OURS.pem, True),
    ],
)
def test_a_machine_gets_certificates_that_its_console_does_not_report(
    console: list[str], pem: bytes, is_sent: bool
) -> None:
    guest = ScriptedGuest()
    assert certificates.update_guest(cast(Guest, guest), pem, console) is is_sent
    assert guest.given == [pem] * is_sent


def test_a_machine_that_rejects_certificates_is_an_error() -> None:
    with pytest.raises(EngineFailed, match="does not take") as caught:
        certificates.update_guest(cast(Guest, ScriptedGuest(1)), OURS.pem, [])
    assert "the reason" in caught.value.details
