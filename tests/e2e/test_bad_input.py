"""Invalid shares and ports: each error has a sentence and a hint, and the engine keeps working.

Invalid proxies, certificates and keyrings are in `test_proxy_and_certificates.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, Galley

ABSENT = "192.0.2.1"  # reserved for documentation (RFC 5737): no computer has it


@pytest.fixture
def steady(galley: Galley) -> Iterator[Galley]:
    """Checks afterwards that the engine runs on and its settings are unchanged."""
    pid, before = galley.vm_identity().pid, galley.run("settings", "list").stdout
    yield galley
    assert galley.answers()
    assert galley.vm_identity().pid == pid
    assert galley.run("settings", "list").stdout == before


@pytest.mark.parametrize("setting", ["shares", "read_only_shares"])
@pytest.mark.parametrize(
    ("name", "sentence", "hint"),
    [
        ("{}/none", "cannot be shared: it does not exist.", "Create it, or leave it out."),
        ("{}/file", "cannot be shared: it is a file.", "Share the folder that contains it."),
        (
            "/usr/share",
            "cannot be shared: the machine uses this path itself.",
            "Share a folder of your own.",
        ),
        ("{}/new\nline", "it must be folders such as", "The default is"),
        ("{}:/x", "cannot be shared: it does not exist.", "Create it"),  # docker's syntax
    ],
)
def test_a_folder_that_cannot_be_shared_is_refused(
    steady: Galley, tmp_path: Path, setting: str, name: str, sentence: str, hint: str
) -> None:
    (tmp_path / "file").touch()
    done = steady.run("settings", "set", setting, name.format(tmp_path), check=False)
    assert done.returncode != 0
    stderr = " ".join(done.stderr.decode().split())
    assert sentence in stderr
    assert hint in stderr


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_on_an_address_of_another_computer_is_refused(steady: Galley, protocol: str) -> None:
    published = f"{ABSENT}:8080:80/{protocol}"
    done = steady.docker("run", "--rm", "-p", published, "--name", "absent", IMAGE, check=False)
    assert done.returncode != 0
    stderr = done.stderr.decode()
    assert f"Port 8080/{protocol} on {ABSENT} cannot be published." in stderr
    assert "Check that the address belongs to this computer." in stderr
    assert steady.run("ports", "--json").stdout.strip() == b"[]"
    assert steady.docker("ps", "-aqf", "name=absent").stdout == b""


def test_an_invalid_port_address_is_refused(steady: Galley) -> None:
    done = steady.run("settings", "set", "port_address", "here", check=False)
    assert done.returncode != 0
    stderr = done.stderr.decode()
    assert "port_address cannot be 'here': it must be an IP address such as 127.0.0.1." in stderr
