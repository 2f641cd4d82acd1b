"""The boot files that are written before a start; e2e tests show what the guest does with them."""

import hashlib
import json
import socket
from pathlib import Path
from typing import cast

import pytest

from engine.provisioning import certificates, daemon_json, host_loopback
from engine.provisioning.provisioning import Configuration
from engine.settings.store import SettingsStore
from tests.authorities import Authority
from vm.backends.fake import FakeBackend
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.host.process import Completed
from vm.image import CERTIFICATES

OURS = Authority("Ours")


@pytest.fixture
def settings(home: Home, monkeypatch: pytest.MonkeyPatch) -> SettingsStore:
    settings = SettingsStore(home)
    settings.set("proxy", "none")
    settings.set("use_context", "false")
    return settings


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image without certificates, on a host that trusts only OURS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store.pem"))
    (tmp_path / "store.pem").write_bytes(OURS.pem)
    (tmp_path / CERTIFICATES).write_bytes(b"")
    return tmp_path


def boot_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_boot_files_match_what_update_guest_would_send(
    home: Home, settings: SettingsStore, image: Path
) -> None:
    folder = home.machine / "handover"
    daemon_json.write(home, '{"labels": ["a=1"]}')
    configuration = Configuration(home, settings, FakeBackend())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings.set("http_proxy", f"http://127.0.0.1:{port}")
        settings.set("proxy", "manual")
        configuration.write_boot_files(folder, image)
        found = boot_files(folder)
        names = [certificates.BOOT_FILE, daemon_json.BOOT_FILE]
        digests = [hashlib.sha256(found[name]).hexdigest() for name in names]
        console = ["certificates " + digests[0], "configured " + digests[1]]
        unused = cast(Guest, None)  # the console reports both, so the guest gets no command
        configuration.update_guest(unused, image, lambda: console)
    assert configuration.problems == ()
    assert found[certificates.BOOT_FILE] == OURS.pem
    config = json.loads(found[daemon_json.BOOT_FILE])
    assert config["labels"] == ["a=1"]
    assert config["proxies"]["http-proxy"] == f"http://10.0.2.2:{port}"


def test_a_boot_file_that_is_no_longer_needed_is_removed(
    home: Home, settings: SettingsStore, image: Path
) -> None:
    daemon_json.write(home, '{"labels": ["a=1"]}')
    configuration = Configuration(home, settings, FakeBackend())
    folder = home.machine / "handover"
    configuration.write_boot_files(folder, image)
    assert len(boot_files(folder)) == 2
    daemon_json.write(home, "{ }")
    (image / CERTIFICATES).write_bytes(OURS.pem)
    configuration.write_boot_files(folder, image)
    assert boot_files(folder) == {}


def test_an_invalid_daemon_json_is_no_boot_file(
    home: Home, settings: SettingsStore, image: Path
) -> None:
    daemon_json.write(home, '{"labels"')
    configuration = Configuration(home, settings, FakeBackend())
    configuration.write_boot_files(home.machine / "handover", image)
    assert set(boot_files(home.machine / "handover")) == {certificates.BOOT_FILE}


def test_the_host_loopback_setting_is_a_boot_file_or_a_problem(
    home: Home, settings: SettingsStore, image: Path
) -> None:
    """A running machine that rejects the setting is a problem, and still gets everything else."""
    settings.set("host_loopback", "false")
    configuration = Configuration(home, settings, FakeBackend())
    folder = home.machine / "handover"
    configuration.write_boot_files(folder, image)
    found = boot_files(folder)
    assert found[host_loopback.BOOT_FILE] == b"off"
    commands: list[str] = []

    class Refusing:
        def run(
            self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60
        ) -> Completed:
            commands.append(argv[0])
            return Completed(argv, int(argv[0] == host_loopback.COMMAND), b"", b"")

    configuration.update_guest(cast(Guest, Refusing()), image, list)
    assert commands == [host_loopback.COMMAND, certificates.COMMAND, daemon_json.COMMAND]
    summaries = [problem.summary for problem in configuration.problems]
    assert summaries == [
        "The machine does not change whether containers reach this computer's services."
    ]
    settings.set("host_loopback", "true")
    configuration.write_boot_files(folder, image)
    assert host_loopback.BOOT_FILE not in boot_files(folder)
