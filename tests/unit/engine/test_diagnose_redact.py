"""A planted secret never leaves in a bundle, and what helps does."""

import base64
import json
import os
import zipfile
from pathlib import Path

import pytest

from engine.diagnose.bundle import write_bundle
from engine.diagnose.facts import Facts
from engine.diagnose.redact import Redactor
from vm.host.paths import Home
from vm.ssh_keys import make_key

PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpQIBAAKCAQ\nhunter2secret\n-----END RSA PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2secret and then the log was cut",
        "Authorization: Bearer hunter2secret",
        "authorization: Basic aHVudGVyMnNlY3JldA== hunter2secret",
        "X-Registry-Auth: hunter2secret",
        '{"auth": "hunter2secret"}',
        '{"identitytoken":"hunter2secret"}',
        '{\n  "password": "hunter2secret, with a comma"\n}',
        "password=hunter2secret",
        "POSTGRES_PASSWORD=hunter2secret",
        "MYSQL_PASS: 'hunter2secret'",
        "docker login -u me -p hunter2secret registry",
        "docker login --password hunter2secret registry",
        "--password=hunter2secret",
        "http_proxy=http://user:hunter2secret@proxy:3128",
        "GET https://hunter2secret@example.com/v2/",
        "aws_secret_access_key = hunter2secret",
        "api_key: hunter2secret",
        "the token ghp_hunter2secrethunter2secret was used",
        "eyJhbGciOiJIUzI1.hunter2secret0.hunter2secret",
    ],
)
def test_what_looks_like_a_secret_goes(home: Home, text: str) -> None:
    assert "hunter2secret" not in Redactor(home).text(f"before\n{text}\nafter")


@pytest.mark.parametrize(
    "text",
    [
        'time=2026-01-01 level=error msg="failed to start daemon: address already in use"',
        "The author of this, bypass: 3 tests passed: 12",
        "sshd: AuthorizedKeysFile /etc/ssh/keys, authentication failed",
        '{"state": "running", "endpoint": "unix:///run/docker.sock"}',
        "galley: hostkey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake",
        "https://example.com/v2/library/nginx:1.27",
    ],
)
def test_what_helps_stays(home: Home, text: str) -> None:
    assert Redactor(home).text(text) == text


def test_the_user_s_name_goes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    shown = Redactor(home).text(
        "/home/jane/x /Users/joe/y C:\\Users\\jim\\z C:\\\\Users\\\\jim\\\\z"
    )
    assert not any(name in shown for name in ("jane", "joe", "jim"))
    assert shown.startswith("~/x")


def test_secrets_that_we_can_find_go_wherever_they_are(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = base64.b64encode(b"jane:correct horse").decode()
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"auths": {"registry": {"auth": login}}}))
    (home.run / "control.key").write_text("0123456789abcdef")
    make_key(home.machine / "id_ed25519", home.machine / "id_ed25519.pub")
    key = (home.machine / "id_ed25519").read_text().splitlines()
    monkeypatch.setenv("REGISTRY_TOKEN", "a token of the environment")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:at a'proxy@example.com")
    shown = Redactor(home).text(
        f"x {login} x correct horse x 0123456789abcdef x {key[2]} x a token of the environment x "
        "at a'proxy x"
    )
    assert shown == "x" + " <redacted> x" * 6


def test_a_bundle_keeps_none(home: Home, tmp_path: Path) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    (home.run / "control.key").write_text(secret)
    make_key(home.machine / "id_ed25519", home.machine / "id_ed25519.pub")
    key = (home.machine / "id_ed25519").read_text()
    for place in (home.settings, home.logs / "console.log", home.logs / "supervisor.1.log"):
        place.write_text(f"{secret}\n{key}\npassword=hunter2\nit helps\n")
    target = tmp_path / "bundle.zip"
    names = write_bundle(target, Facts(home), ())
    with zipfile.ZipFile(target) as archive:
        content = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(names) == set(content)
    lines = [line for line in key.splitlines() if not line.startswith("-")]
    for text in content.values():
        assert not any(planted in text for planted in (secret, "hunter2", *lines))
    assert "it helps" in content["logs/console.log"]
    assert "id_ed25519" in content["files.txt"]
    assert target.stat().st_mode & 0o077 == 0
