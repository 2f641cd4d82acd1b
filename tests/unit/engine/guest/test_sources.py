"""Which apt sources are Debian's own archive, and the lines they give for a suite."""

from pathlib import Path

import pytest

from engine.guest.sources import (
    Source,
    apt_options,
    mirror_lines,
    parse_deb822,
    parse_list,
    read_config,
    read_sources,
)

KEYRING = "/usr/share/keyrings/debian-archive-keyring.pgp"
DEB822 = f"""\
# Debian
Types: deb deb-src
URIs: http://example.com/mirror/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: {KEYRING}

Types: deb
URIs: http://example.com/security/debian-security
Suites: bookworm-security
Components: main
Signed-By: {KEYRING}

Types: deb
URIs: file:/usr/share/local
Suites: ./
Trusted: yes

Types: deb
URIs: http://example.com/other/tools
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://example.com/off/debian
Suites: bookworm
Components: main
Enabled: no
"""


def test_both_formats_give_the_same_source() -> None:
    line = f"deb [arch=amd64 signed-by={KEYRING}] http://example.com/mirror/debian bookworm main"
    one = parse_list(f"# a comment\n{line} # and one more\ndeb-src http://example.com/x/ a main\n")
    text = "Types: deb\nURIs: http://example.com/mirror/debian\nSuites: bookworm\n"
    two = parse_deb822(f"{text}Components: main\nSigned-By: {KEYRING}\n")
    assert (
        one
        == two
        == [Source(("http://example.com/mirror/debian",), ("bookworm",), ("main",), KEYRING)]
    )


def test_lines_for_a_stable_suite_come_from_debian_alone() -> None:
    assert mirror_lines(parse_deb822(DEB822), "trixie") == (
        f"deb [signed-by={KEYRING}] http://example.com/mirror/debian trixie main",
        f"deb [signed-by={KEYRING}] http://example.com/mirror/debian trixie-updates main",
        (
            f"deb [signed-by={KEYRING}] http://example.com/security/debian-security "
            "trixie-security main"
        ),
    )


def test_the_next_release_has_one_line() -> None:
    assert mirror_lines(parse_deb822(DEB822), "forky") == (
        f"deb [signed-by={KEYRING}] http://example.com/mirror/debian forky main",
    )


@pytest.mark.parametrize(
    ("source", "debian"),
    [
        (Source(("http://example.com/m",), ("trixie",), ("main",)), True),
        (Source(("http://example.com/m",), ("noble",), ("main",)), False),
        (Source(("http://example.com/m",), ("trixie",), ("main",), "/etc/other.gpg"), False),
        (Source(("http://example.com/m",), ("trixie",), ("main",), KEYRING, True), False),
        (Source(("file:/local",), ("./",), ()), False),
    ],
)
def test_debians_own_sources_are_recognised(source: Source, debian: bool) -> None:
    assert source.is_debian is debian


def test_a_mirror_in_a_folder_is_copied_from() -> None:
    """mmdebstrap refuses `file:`."""
    source = Source(("file:/srv/debian", "file:///srv/b"), ("trixie",), ("main",), KEYRING)
    assert mirror_lines([source], "trixie") == (
        f"deb [signed-by={KEYRING}] copy:/srv/debian trixie main",
        f"deb [signed-by={KEYRING}] copy:///srv/b trixie main",
    )


def test_the_configuration_is_that_of_this_computers_apt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "apt.conf"
    config.write_text(f'Dir::Etc "{tmp_path}/etc";\nAcquire::http::Proxy "http://127.0.0.1:1";\n')
    monkeypatch.setenv("APT_CONFIG", str(config))
    found = read_config()
    assert found.folder == tmp_path / "etc"
    assert 'Acquire::http::Proxy "http://127.0.0.1:1";' in found.options
    config.write_text(f'Dir "{tmp_path}";\nDir::Etc "apt";\n')
    assert read_config().folder == tmp_path / "apt"


def test_without_a_debian_source_there_are_no_lines() -> None:
    other = Source(("http://example.com/m",), ("noble", "noble-updates"), ("main",))
    only_updates = Source(("http://example.com/m",), ("trixie-updates",), ("main",), KEYRING)
    assert mirror_lines([other], "trixie") == ()
    assert mirror_lines([only_updates], "trixie") == ()


def test_sources_are_read_from_apts_directory(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://example.com/a/debian trixie main\n")
    (parts / "b.list").write_text("deb http://example.com/b/debian trixie main\n")
    (parts / "c.sources").write_text(DEB822)
    (parts / "ignored.save").write_text("deb http://example.com/d/debian trixie main\n")
    uris = [uri for source in read_sources(tmp_path) for uri in source.uris]
    assert uris[:2] == ["http://example.com/a/debian", "http://example.com/b/debian"]
    assert "http://example.com/d/debian" not in uris
    assert read_sources(tmp_path / "absent") == ()


def test_only_proxies_and_certificates_are_passed_on() -> None:
    dump = [
        'APT::Architecture "amd64";',
        'Acquire::http::Proxy "http://example.com:3128";',
        'Acquire::https::CaInfo "/etc/ssl/corporate.pem";',
        'Acquire::https::example.com::Proxy "DIRECT";',
        'Acquire::http::Proxy "";',
        'Acquire::Check-Valid-Until "false";',
    ]
    assert apt_options(dump) == (dump[1].rstrip(), dump[2], dump[3])
