"""Which certificates for single registries a machine gets, and when."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from engine.provisioning import registry_certificates
from engine.provisioning.registry_certificates import Found
from tests.authorities import Authority
from tests.unit.engine.provisioning.test_certificates import ScriptedGuest
from vm.errors import EngineFailed
from vm.guest.protocol import Guest

PEM = Authority("Theirs").pem


@pytest.fixture
def put() -> Callable[[str, bytes], Path]:
    """Writes a file to docker's `certs.d`."""

    def do(name: str, data: bytes) -> Path:
        file = Path(os.environ["DOCKER_CONFIG"], "certs.d", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    return do


def packed(found: Found) -> dict[str, tuple[int, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(found.archive)) as archive:
        opened = {one: archive.extractfile(one) for one in archive}
        return {one.name: (one.mode, file.read()) for one, file in opened.items() if file}


def test_files_that_docker_uses_are_packed(put: Callable[[str, bytes], Path]) -> None:
    assert registry_certificates.wanted() == Found()
    put("b.example.com:5000/client.key", b"a key")
    put("b.example.com:5000/client.cert", PEM)
    put("a.example.com/ca.crt", PEM)
    put("a.example.com/notes.txt", b"others'")
    put("a b/ca.crt", PEM)  # not the name of a registry
    put("ca.crt", PEM)
    found = registry_certificates.wanted()
    assert found.problems == ()
    assert packed(found) == {
        "a.example.com/ca.crt": (0o600, PEM),
        "b.example.com:5000/client.cert": (0o600, PEM),
        "b.example.com:5000/client.key": (0o600, b"a key"),
    }
    assert registry_certificates.wanted() == found


def test_an_unusable_certificate_is_reported(put: Callable[[str, bytes], Path]) -> None:
    empty = put("a.example.com/ca.crt", b"no certificate")
    gone = put("a.example.com/client.cert", PEM)
    gone.unlink()
    gone.symlink_to("nowhere")
    put("b.example.com/ca.crt", PEM)
    found = registry_certificates.wanted()
    assert set(packed(found)) == {"b.example.com/ca.crt"}
    assert [one.summary for one in found.problems] == [
        f"There is no certificate in {empty}.",
        f"The registry certificate {gone} cannot be used: No such file or directory.",
    ]
    assert all("galley start" in one.hint for one in found.problems)


def test_a_machine_that_reports_the_certificates_gets_nothing() -> None:
    guest = ScriptedGuest()
    there = cast(Guest, guest)
    console_line = "registries " + hashlib.sha256(b"x").hexdigest()
    registry_certificates.update_guest(there, b"x", ["registries 0", console_line])
    registry_certificates.update_guest(there, b"", [])
    registry_certificates.update_guest(there, b"", [console_line, "registries none"])
    assert guest.given == []
    registry_certificates.update_guest(there, b"", [console_line])
    registry_certificates.update_guest(there, b"x", ["registries none"])
    assert guest.given == [b"", b"x"]


def test_a_machine_that_rejects_certificates_is_an_error() -> None:
    with pytest.raises(EngineFailed, match="does not take the certificates for single") as caught:
        registry_certificates.update_guest(cast(Guest, ScriptedGuest(1)), b"x", [])
    assert "the reason" in caught.value.details
