"""An engine behind TLS, reached through a docker context with certificates of the right CA."""

import datetime
import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.docker.client import DockerClient
from engine.dockercli.contexts import DockerContext, contexts, this_home
from tests.unit.engine.bridge.servers import wait_until
from vm.errors import EngineUnreachable
from vm.host.net import free_port

DAY = datetime.timedelta(days=1)


class Authority:
    """A CA and the certificates it signs, with as few extensions as those of Docker's guide."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("galley-test-ca")
        self.certificate = self._signed("galley-test-ca", self._key.public_key(), is_ca=True)

    def issue(self, owner: str) -> Path:
        """Write ca.pem, cert.pem and key.pem to a new folder."""
        folder = self._folder / owner
        folder.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        (folder / "ca.pem").write_bytes(_pem(self.certificate))
        (folder / "cert.pem").write_bytes(_pem(self._signed(owner, key.public_key())))
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return folder

    def _signed(
        self, subject: str, key: ec.EllipticCurvePublicKey, *, is_ca: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(_named(subject))
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.SubjectAlternativeName([here]), critical=False)
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .sign(self._key, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class SecureDockerd:
    """A dockerd on a loopback port of this computer; it changes none of its networks."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        self.port = free_port()
        self._log = folder / "log"
        options = [
            f"--data-root={folder}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={folder}/pid",
            f"--host=tcp://127.0.0.1:{self.port}",
            "--tlsverify",
            f"--tlscacert={certificates}/ca.pem",
            f"--tlscert={certificates}/cert.pem",
            f"--tlskey={certificates}/key.pem",
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
            "--storage-driver=vfs",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["dockerd", *options], stdout=log, stderr=log, start_new_session=True
            )
        wait_until(lambda: "API listen on" in self._log.read_text(), 30)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="galley-"))
    yield made
    subprocess.run(["umount", str(made / "data")], check=False, capture_output=True)
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def authority(folder: Path) -> Authority:
    return Authority(folder / "authority")


@pytest.fixture
def secured(folder: Path, authority: Authority) -> Iterator[SecureDockerd]:
    made = SecureDockerd(folder, authority.issue("server"))
    yield made
    made.stop()


def make_context(name: str, port: int, certificates: Path) -> DockerContext:
    """Write a context as the docker CLI does, and read it as the window does."""
    digest = {"good": "0" * 64, "other": "1" * 64}[name]
    config = Path(os.environ["DOCKER_CONFIG"]) / "contexts"
    meta = config / "meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    host = {"docker": {"Host": f"tcp://127.0.0.1:{port}", "SkipTLSVerify": False}}
    meta.write_text(json.dumps({"Name": name, "Endpoints": host}))
    shutil.copytree(certificates, config / "tls" / digest / "docker")
    return next(context for context in contexts(this_home()) if context.name == name)


def test_a_tls_context_connects_and_another_authority_is_refused(
    secured: SecureDockerd, authority: Authority, folder: Path
) -> None:
    good = make_context("good", secured.port, authority.issue("client"))
    client = DockerClient(good.endpoint)
    assert client.info().version
    assert client.containers.list() == ()
    client.close()
    other = make_context("other", secured.port, Authority(folder / "elsewhere").issue("client"))
    with pytest.raises(EngineUnreachable) as refused:
        DockerClient(other.endpoint)
    assert "certificate" in (refused.value.summary + refused.value.details).lower()
