"""Secrets are redacted from a bundle, and useful text is kept."""

import base64
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from urllib.parse import quote

import pytest

from engine.diagnose.bundle import write_bundle
from engine.diagnose.facts import Facts
from engine.diagnose.redact import Redactor
from vm.guest.ssh_keys import make_key
from vm.host.paths import Home

S = "Hunter2secret"  # must not appear in a bundle
LONG = "Hunter2secretHunter2secret"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJIdW50ZXIyIn0.SFVOVEVSMnNlY3JldA"
# Each row alone tests its rule: without the rule, or one of its words, the secret is not redacted.
SHAPES = (
    # PEM: whole, without its end, without its beginning, inside JSON
    f"-----BEGIN RSA PRIVATE KEY-----\nMIIEpQIBAAKCAQ\n{S}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{S} and then the log was cut",
    f'"key": "-----BEGIN EC PRIVATE KEY-----\\n{S}\\n-----END EC PRIVATE KEY-----\\n"',
    # headers
    f"Authorization: Digest username=me, response={S}",
    f"authorization: AWS4-HMAC-SHA256 Credential {S}",
    f"Proxy-Authorization: Negotiate {S}",
    f"map[Authorization:[Digest {S}] Accept:[*/*]]",
    f"X-Registry-Auth: first {S}",
    f"X-Registry-Config: first {S}",
    f"Cookie: theme=dark; sid={S}",
    f"Set-Cookie: sid={S}; Path=/",
    f'{{"Cookie": ["a=b", "c={S}"]}}',
    f"got bearer {S}",
    f"got Basic {S}",
    f"got BEARER {S.upper()}",
    # options
    *(f"run it --{name} {S} now" for name in (
        "password", "passwd", "passphrase", "pass", "pw", "pwd", "secret", "token", "api-key",
        "access-key", "private-key", "auth", "credential", "oauth-token", "token-value",
    )),
    *(f"run it --{name}={S} now" for name in ("token", "db-password", "pw")),
    f'["tool", "--token", "{S}"]',
    f'msg="[\\"tool\\", \\"--token\\", \\"{S}\\"]"',
    f"--password 'two words {S}'",
    f"mysql -u root -p{S} db",
    f'["mysql","-p{S}"]',
    f"docker login -u me -p {S} registry",
    f"sshpass -p {S} ssh host",
    f"mysqladmin -p {S}",
    f"mariadb-dump -p {S}",
    f"redis-cli -h cache -a {S}",
    f"curl -u root:{S} https://example.com",
    f"curl -uroot:{S} https://example.com",
    f"curl --user root:{S} https://example.com",
    f"curl --user=root:{S} https://example.com",
    f"curl --proxy-user root:{S} https://example.com",
    f'["curl","-u","root:{S}"]',
    f"docker run -e STAGE={S} image",
    f"docker run --env=STAGE='{S} and more' image",
    f"docker build --build-arg STAGE={S} .",
    # names with values
    *(f"{name}={S}" for name in (
        "passwd", "password", "POSTGRES_PASSWORD", "passphrase", "MYSQL_PASS", "MYSQL_PWD", "pw",
        "client_secret", "token", "GITHUB_TOKEN", "api_key", "apikey", "api-key", "access_key",
        "accesskey", "private_key", "privatekey", "stripe_key", "session_salt", "auth",
        "credential", "credentials", "slack_webhook", "X-Amz-Signature", "secretKeyOfMine",
        "aws_secret_access_key", "_authToken",
    )),
    *(f"{name}={S}" for name in (
        "PGPASS", "MYPWD", "STRIPEKEY", "SESSIONSALT", "SENTRYDSN", "KEYFILEDATA",
    )),
    f"password: {S}",
    f"password : {S}",
    f"password=with,comma;and&more}}{S}",
    f"MYSQL_PASS: 'two words {S}'",
    f'{{"password": "{S}, with a comma"}}',
    f'{{"password": "a quote \\" and {S}"}}',
    f'msg="{{\\"password\\":\\"two words {S}\\"}}"',
    f'msg="{{\\"password\\":\\"a quote \\\\\\" and {S}\\"}}"',
    f'{{"password": "cut off, and {S}',
    # docker's config.json
    f'{{"auths": {{"registry": {{"auth": "{S}"}}}}}}',
    f'{{"auths": {{"registry": {{"identitytoken": "{S}"}}}}}}',
    f'{{"auths": {{"registry": {{"registrytoken": "{S}"}}}}}}',
    # addresses
    f"http_proxy=http://user:{S}@proxy:3128",
    f"GET https://{S}@example.com/v2/",
    f"https://user:with/slash{S}@example.com",
    f"https://user:with@sign{S}@example.com",
    f"dial root:{S}@tcp(db:3306)/shop",
    f"psql user:{S}@db/shop",
    f"POST hooks.slack.com/services/T000/B000/{S}",
    f"POST hooks.slack.com/workflows/T000/{S}",
    f"POST hooks.slack.com/triggers/T000/{S}",
    f"POST discord.com/api/webhooks/123/{S}",
    # tokens
    *(f"used {prefix}{LONG} there" for prefix in (
        "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "glptt-",
        "glcbt-", "gloas-", "glsoat-", "dckr_pat_", "dckr_oat_", "xoxa-", "xoxb-", "xoxc-", "xoxe-",
        "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxe.xoxb-", "xoxe.xoxp-", "xapp-", "sk-", "sk-proj-",
        "sk_live_", "sk_test_", "rk_live_", "npm_", "pypi-", "hf_", "hvs.", "hvb.", "AIza",
        "ya29.",
    )),
    f"?x%3D%22glpat-{LONG}%22",
)  # fmt: skip


def test_every_shape_of_a_secret_is_redacted(home: Home) -> None:
    redactor = Redactor(home)
    for text in SHAPES:
        shown = redactor.text(f"before\n{text}\nafter")
        assert S.lower() not in shown.lower(), text
        assert shown.startswith("before\n"), text
    for whole in ("AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", JWT, f"ghp_{LONG}"):
        shown = redactor.text(f"used {whole} there")
        assert shown == "used <redacted> there"


def test_a_key_that_began_before_the_text_is_redacted(home: Home) -> None:
    cut = f"{S}\nMIIEpQIBAAKCAQ==\n-----END RSA PRIVATE KEY-----\nafter"
    assert Redactor(home).text(cut) == "<redacted>\nafter"


def test_the_text_around_a_secret_is_kept(home: Home) -> None:
    redactor = Redactor(home)
    for text, shown in (
        ("run --token X --port 80", "run --token <redacted> --port 80"),
        ("mysql -u me -pX -h db", "mysql -u me -p<redacted> -h db"),
        ("curl -u me:X https://example.com", "curl -u <redacted> https://example.com"),
        ("A_TOKEN=X B=1", "A_TOKEN=<redacted> B=1"),
        ('{"password": "X", "b": 1}', '{"password": <redacted>, "b": 1}'),
        ("http://me:X@proxy:3128/", "http://<redacted>@proxy:3128/"),
        (
            "hooks.slack.com/services/X 404",
            "hooks.slack.com/services/<redacted> 404",
        ),
        ("Cookie: X\nHost: docker", "Cookie: <redacted>\nHost: docker"),
        ("got Bearer A1b2C3d4 403", "got Bearer <redacted> 403"),
        ("got Bearer ABCDEFGHIJ 403", "got Bearer <redacted> 403"),
        ("run --TOKEN X 80", "run --TOKEN <redacted> 80"),
    ):
        assert redactor.text(text) == shown


DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.mark.parametrize(
    "text",
    [
        'time=2026-01-01 level=error msg="failed to start daemon: address already in use"',
        "The author of this, bypass: 3 tests passed: 12",
        "sshd: AuthorizedKeysFile /etc/ssh/keys, authentication failed",
        '{"state": "running", "endpoint": "unix:///run/docker.sock"}',
        "galley: hostkey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake",
        "https://example.com/v2/library/nginx:1.27",
        f"registry:5000/library/nginx:1.27@{DIGEST}",
        f"docker://registry:5000/library/nginx@{DIGEST}",
        f"https://registry:5000/v2/nginx/blobs/{DIGEST}",
        "https://registry:5000/v2/?account=me@example 200",
        f"docker://nginx:1.27@{DIGEST}",
        "container 4f66ad9a0b2e3c1f0c8d1b8ce1f0a6f6d9b7a5e4c3d2b1a0f9e8d7c6b5a49382 died",
        "docker run -p 8080:80 -p8443:443 --user 1000:1000 -u 0:0 nginx",
        'pull access denied, insufficient_scope: authorization failed, no basic auth credentials"',
        "server wants Basic authentication",
        "docker login --password-stdin registry",
        "x86_64-pc-linux-gnu",
        "2026-01-01T10:22:33.123456789Z GET /_ping 200",
        "fe80::1%eth0 10.0.2.15/24 02:42:ac:11:00:02",
    ],
)
def test_useful_text_is_kept(home: Home, text: str) -> None:
    assert Redactor(home).text(text) == text


def test_a_hostile_log_is_redacted_in_linear_time(home: Home) -> None:
    """Each of these took more than a minute with a pattern that takes quadratic time."""
    redactor, began = Redactor(home), time.monotonic()
    for hostile in (
        "a",
        "password",
        "://a:",
        "-",
        "eyJ-",
        "login ",
        "-----BEGIN ",
        "-p ",
        "aaaaaaaa ",
    ):
        redactor.text(hostile * ((1 << 18) // len(hostile)))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("user", ["/home/jane", "/srv/a"])  # one character more than "/root"
def test_the_user_s_name_is_redacted(
    home: Home, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    monkeypatch.setenv("HOME", user)
    shown = Redactor(home).text(
        f"{user}/x /home/jill/w /Users/joe/y C:\\Users\\jim\\z C:\\\\Users\\\\jack\\\\z"
    )
    assert shown == (
        "~/x /home/<user>/w /Users/<user>/y C:\\Users\\<user>\\z C:\\\\Users\\\\<user>\\\\z"
    )


def test_the_home_folder_of_root_is_not_redacted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/root")
    assert Redactor(home).text("/root/.docker and /rootfs") == "/root/.docker and /rootfs"


def test_a_home_folder_in_json_is_redacted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: PureWindowsPath("D:\\People\\jane"))
    shown = Redactor(home).text("D:\\People\\jane\\x D:\\\\People\\\\jane\\\\y")
    assert shown == "~\\x ~\\\\y"


def _docker_config(**config: object) -> None:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))


def encodings(secret: bytes) -> Iterator[str]:
    """Hexadecimal, percent-encoded, and base64 with up to two bytes before and after it."""
    yield from (secret.hex(), secret.hex().upper(), quote(secret, safe=""))
    for before in (b"", b"w", b"wy"):
        for after in (b"", b"x", b"xy"):
            yield base64.b64encode(before + secret + after).decode()
            yield base64.urlsafe_b64encode(before + secret + after).decode()


def test_galley_s_own_keys_are_redacted_in_every_encoding(home: Home) -> None:
    control = "0?1>2~456789abcdef0123456789abcdef"  # base64 of it has + and /, or - and _
    (home.run / "control.key").write_text(control)
    make_key(home.machine / "id_ed25519", home.machine / "id_ed25519.pub")
    key = (home.machine / "id_ed25519").read_bytes()
    redactor = Redactor(home)
    assert redactor.text(f"x {control} x") == "x <redacted> x"
    for line in key.decode().splitlines()[1:-1]:
        assert redactor.text(f"x {line} x") == "x <redacted> x"
    for secret in (control.encode(), key, key.strip()):
        for encoded in encodings(secret):
            shown = redactor.text(f"x {encoded} x")
            assert shown.count("<redacted>") == 1
            assert len(shown) <= len("x <redacted> x") + 9, shown


@pytest.mark.parametrize(
    "secret", [b"0?1>2~4567", b"ends in W", b"two words", "p\u00e4ssw\u00f6rd".encode()]
)
@pytest.mark.parametrize("before", [b"", b"w", b"wy"])
@pytest.mark.parametrize("after", [b"", b"x", b"xy"])
def test_a_secret_inside_base64_is_redacted_completely(
    home: Home, secret: bytes, before: bytes, after: bytes
) -> None:
    """Except for characters that also hold bits of adjacent bytes."""
    redactor = Redactor(home, [secret.decode()])
    first = -(-8 * len(before) // 6)
    last = 8 * (len(before) + len(secret)) // 6
    for encoded in (base64.b64encode, base64.urlsafe_b64encode):
        text = encoded(before + secret + after).decode()
        assert redactor.text(f"({text})") == f"({text[:first]}<redacted>{text[last:]})"


def test_a_key_file_in_json_is_redacted(home: Home) -> None:
    make_key(home.machine / "id_ed25519", home.machine / "id_ed25519.pub")
    key = (home.machine / "id_ed25519").read_text()
    assert Redactor(home).text(json.dumps([key])) == '["<redacted>"]'


def test_docker_s_logins_are_redacted(home: Home) -> None:
    login = base64.b64encode(b"jane:correct horse").decode()
    _docker_config(
        auths={
            "a": {"auth": login}, "b": {"identitytoken": "identity 1"}, "d": {"auth": 7}, "e": 8,
            "c": {"registrytoken": "registry 2", "password": "plain 345"},
        },
        HttpHeaders={"X-Meta": "header 456"},
        proxies={"default": {"httpProxy": "http://me:proxy%2f567@proxy:3128", "ftpProxy": None}},
    )  # fmt: skip
    secrets = (login, "correct horse", "identity 1", "registry 2", "plain 345", "header 456",
               "proxy/567", "proxy%2f567", "proxy%2F567")  # fmt: skip
    for secret in secrets:
        assert Redactor(home).text(f"x {secret} x") == "x <redacted> x"


@pytest.mark.parametrize(
    "text", ["", "[", "[]", '{"auths": []}', '{"auths": {"a": []}}', "[" * 9999]
)
def test_an_invalid_config_json_is_ignored(home: Home, text: str) -> None:
    _docker_config()
    Path(os.environ["DOCKER_CONFIG"], "config.json").write_text(text)
    assert Redactor(home).text("it helps") == "it helps"


def test_docker_s_default_folder_is_read_without_docker_config(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    _docker_config(auths={"a": {"auth": base64.b64encode(b"jane:correct horse").decode()}})
    assert Redactor(home).text("x correct horse x") == "x <redacted> x"


def test_secret_variables_and_given_secrets_are_redacted(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "REGISTRY_TOKEN": "a token of the environment",
        "registry_secret": "a secret in small letters",
        "AZURE_CREDENTIALS": "the credentials of a cloud",
        "ALL_PROXY": "http://someone:pw@example.com",
        "STRIPEKEY": "a key of the environment",
        "HTTPS_PROXY": "http://me:at a'proxy@example.com",
        "FTP_PROXY": "http://example.com:3128",
        "TOKEN_FILE": str(tmp_path),
        "EDITOR_OF_MINE": "an editor",
        "SHORT_TOKEN": "it",
    }.items():
        monkeypatch.setenv(name, value)
    redactor = Redactor(home, ["given to it"])
    for secret in (
        *("a token of the environment", "a secret in small letters", "a key of the environment"),
        "the credentials of a cloud",
        *("at a'proxy", "someone:pw", "given to it"),
    ):
        assert redactor.text(f"x {secret} x") == "x <redacted> x"
    for text in (str(tmp_path), "an editor", "it", "http://example.com:3128"):
        assert redactor.text(text) == text


def test_a_secret_is_redacted_in_its_json_form(home: Home) -> None:
    for secret in ('a "quoted" one', "p\u00e4ssword", 'both: "p\u00e4ssword"'):
        for ascii_only in (True, False):
            text = json.dumps({"x": secret}, ensure_ascii=ascii_only)
            assert Redactor(home, [secret]).text(text) == '{"x": "<redacted>"}'


def test_a_secret_that_begins_with_another_is_redacted_completely(home: Home) -> None:
    assert Redactor(home, ["secret one", "secret one and more"]).text("secret one and more") == (
        "<redacted>"
    )


def test_six_characters_are_a_secret_and_five_are_not(home: Home) -> None:
    assert Redactor(home, ["sixsix", "fives"]).text("sixsix fives") == "<redacted> fives"


def test_binary_data_is_redacted(home: Home) -> None:
    (home.run / "control.key").write_bytes(b"\xff0123456789abcdef")
    redactor = Redactor(home)
    assert redactor.data(b"\xfe x \xff0123456789abcdef x") == "\ufffd x <redacted> x".encode()


def test_the_end_line_of_another_key_is_kept(home: Home) -> None:
    make_key(home.machine / "id_ed25519", home.machine / "id_ed25519.pub")
    text = "see: -----END OPENSSH PRIVATE KEY----- there"
    assert Redactor(home).text(text) == text


def test_a_bundle_contains_no_secret(home: Home, tmp_path: Path) -> None:
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
