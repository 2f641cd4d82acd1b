"""What apt in a root of its own reads of a local repository, and its errors."""

import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.images import apt as module
from engine.images.apt import Apt, Candidate, kept_apt
from engine.messages.image import (
    CHECK_APT_FAILED,
    CHECK_NO_SOURCE,
    CHECK_NOT_SIGNED,
    CHECK_NOT_YET,
    CHECK_UNREACHABLE,
    RECIPE_DEBIAN_EXPIRED,
)
from tests.debian_repository import (
    ARCH,
    SUITE,
    Key,
    PackageSpec,
    Repository,
    make_deb,
    repack,
    write,
)
from vm.errors import Cancelled, HomeUnusable, HostError, Retry, ToolMissing
from vm.messages import Message, Text
from vm.messages.machine import START_CANCELLED

NOW = datetime.now(UTC)
CHANGELOG = "tool (1:2-3) trixie; urgency=low\n\n  * New.\n"
TOOL = PackageSpec("tool", "1:2-3+b1", "tools (1:2-3)", CHANGELOG)


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    return make_deb(tmp_path / "debs", TOOL)


@pytest.fixture
def repository(tmp_path: Path, deb: Path, key: Key) -> Repository:
    return write(tmp_path / "debian", [deb], key)


def ignore(_text: Text) -> None:
    pass


def updated(root: Path, line: str, progress: Callable[[Text], None] = ignore) -> Apt:
    apt = Apt(root / "apt", SUITE, ARCH, [line])
    apt.update(progress)
    return apt


def test_a_candidate_has_its_source_and_the_version_of_that(
    tmp_path: Path, deb: Path, key: Key
) -> None:
    debs = [deb, make_deb(tmp_path / "debs", PackageSpec("lib.a", "1", arch="all"))]
    apt = updated(tmp_path, write(tmp_path / "debian", debs, key).line)
    assert apt.candidates(["lib.a", "tool"]) == {
        "tool": Candidate("1:2-3+b1", "tools", "1:2-3"),
        "lib.a": Candidate("1", "lib.a", "1"),
    }


def test_the_newest_of_several_versions_is_the_candidate(tmp_path: Path, key: Key) -> None:
    versions = ("1.9-1", "1.10-1", "1.10-1~rc1")
    debs = [make_deb(tmp_path / "debs", PackageSpec("tool", version)) for version in versions]
    apt = updated(tmp_path, write(tmp_path / "debian", debs, key).line)
    assert apt.candidates(["tool"])["tool"].version == "1.10-1"


@pytest.mark.parametrize(
    "name", ["gone", "-o=x", "to+l", "t.ol", "tool=1:2-3+b1", "to*", "TOOL", ""]
)
def test_only_exact_names_are_found(tmp_path: Path, repository: Repository, name: str) -> None:
    apt = updated(tmp_path, repository.line)
    assert apt.candidates([name]) == {}
    assert set(apt.candidates([name, "tool"])) == {"tool"}


def test_a_repacked_package_is_found_by_its_new_name(tmp_path: Path, deb: Path, key: Key) -> None:
    renamed = repack(deb, tmp_path / "debs", "instrument")
    apt = updated(tmp_path, write(tmp_path / "debian", [renamed], key).line)
    assert apt.candidates(["tool", "instrument"]) == {
        "instrument": Candidate("1:2-3+b1", "tools", "1:2-3")
    }


def test_the_changelog_of_the_source_is_fetched(tmp_path: Path, repository: Repository) -> None:
    apt = updated(tmp_path, repository.line)
    wanted = {"tool": "1:2-3+b1", "gone": "1", "../tool": "1", "tool2": "-o=x"}
    assert apt.changelogs(wanted, ignore) == {"tools": CHANGELOG}


def test_a_changelog_without_a_file_is_left_out(tmp_path: Path, deb: Path, key: Key) -> None:
    other = make_deb(tmp_path / "debs", PackageSpec("silent", "1"))
    apt = updated(tmp_path, write(tmp_path / "debian", [deb, other], key).line)
    found = apt.changelogs({"silent": "1", "tool": "1:2-3+b1"}, ignore)
    assert found == {"tools": CHANGELOG}


def test_a_long_changelog_is_read_in_part(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHANGELOG_BYTES", 10)
    apt = updated(tmp_path, repository.line)
    assert apt.changelogs({"tool": "1:2-3+b1"}, ignore) == {"tools": CHANGELOG[:10]}


def test_slow_changelogs_are_given_up(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server accepts the connection and does not answer."""
    apt = updated(tmp_path, repository.line)
    monkeypatch.setattr(module, "CHANGELOGS_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}/@CHANGEPATH@"
        with (tmp_path / "apt/apt.conf").open("a") as config:
            config.write(f'Acquire::Changelogs::URI::Override::Origin::Debian "{uri}";\n')
        assert apt.changelogs({"tool": "1:2-3+b1"}, ignore) == {}


def expired(root: Path, debs: list[Path], key: Key, other: Key) -> Repository:
    dates = NOW - timedelta(days=14), NOW - timedelta(days=7)
    return write(root, debs, key, date=dates[0], valid_until=dates[1])


def a_year_ahead(root: Path, debs: list[Path], key: Key, other: Key) -> Repository:
    return write(root, debs, key, date=NOW + timedelta(days=365))


def signed_by_another_key(root: Path, debs: list[Path], key: Key, other: Key) -> Repository:
    return write(root, debs, other, trusted=key)


def unsigned(root: Path, debs: list[Path], key: Key, other: Key) -> Repository:
    made = write(root, debs, key)
    (made.dist / "InRelease").unlink()
    return made


def without_a_release(root: Path, debs: list[Path], key: Key, other: Key) -> Repository:
    made = unsigned(root, debs, key, other)
    (made.dist / "Release").unlink()
    return made


def altered(root: Path, debs: list[Path], key: Key, other: Key) -> Repository:
    made = write(root, debs, key)
    release = made.dist / "InRelease"
    release.write_text(release.read_text().replace("Codename: trixie", "Codename: trixi3"))
    return made


def without_its_lists(root: Path, debs: list[Path], key: Key, other: Key) -> Repository:
    made = write(root, debs, key)
    for file in made.dist.rglob("Packages*"):
        file.unlink()
    return made


@pytest.mark.parametrize(
    ("make", "message", "retry"),
    [
        (expired, RECIPE_DEBIAN_EXPIRED, Retry.NO),
        (a_year_ahead, CHECK_NOT_YET, Retry.NO),
        (signed_by_another_key, CHECK_NOT_SIGNED, Retry.NO),
        (unsigned, CHECK_NOT_SIGNED, Retry.NO),
        (altered, CHECK_NOT_SIGNED, Retry.NO),
        (without_a_release, CHECK_UNREACHABLE, Retry.YES),
        (without_its_lists, CHECK_UNREACHABLE, Retry.YES),
    ],
)
def test_a_repository_that_cannot_be_trusted_or_read_is_an_error(
    tmp_path: Path,
    deb: Path,
    key: Key,
    other_key: Key,
    make: Callable[[Path, list[Path], Key, Key], Repository],
    message: Message,
    retry: Retry,
) -> None:
    repository = make(tmp_path / "debian", [deb], key, other_key)
    apt = Apt(tmp_path / "apt", SUITE, ARCH, [repository.line])
    with pytest.raises(HostError) as raised:
        apt.update(ignore)
    assert (raised.value.code, raised.value.retry) == (message.code, retry)
    assert raised.value.details.startswith("$ apt-get ")
    assert "dlstatus" not in raised.value.details
    assert apt.candidates(["tool"]) == {}


def test_an_unreachable_server_is_an_error(
    tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    line = f"deb [signed-by={key.public}] http://127.0.0.1:{port}/debian {SUITE} main"
    with pytest.raises(HostError) as raised:
        updated(tmp_path, line)
    assert (raised.value.code, raised.value.retry) == (CHECK_UNREACHABLE.code, Retry.YES)


def test_a_silent_server_does_not_keep_the_user_from_cancelling(tmp_path: Path, key: Key) -> None:
    calls: list[Text] = []

    def cancel(text: Text) -> None:
        calls.append(text)
        if len(calls) == 3:
            raise Cancelled(START_CANCELLED)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = f"deb [signed-by={key.public}] http://127.0.0.1:{port}/debian {SUITE} main"
        with pytest.raises(Cancelled):
            updated(tmp_path, line, cancel)
    assert calls[0].english == "Fetching Debian's package lists"


def test_lists_that_apt_cannot_read_are_an_error(tmp_path: Path, repository: Repository) -> None:
    apt = updated(tmp_path, repository.line)
    (tmp_path / "apt/etc/sources.list").write_text("nonsense\n")
    with pytest.raises(HostError) as raised:
        apt.candidates(["tool"])
    assert raised.value.code == CHECK_APT_FAILED.code


def test_the_lists_are_kept_and_the_cache_is_not(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "kept"
    for _time in range(2):
        with kept_apt(root, SUITE, ARCH, [repository.line]) as apt:
            apt.update(ignore)
            assert set(apt.candidates(["tool"])) == {"tool"}
    assert list((root / "state" / "lists").glob("*InRelease"))
    assert list((root / "cache").glob("*.bin")) == []
    assert root.stat().st_mode & 0o777 == 0o700


def test_the_configuration_is_private_and_goes(repository: Repository, tmp_path: Path) -> None:
    """It has the password of the computer's apt proxy. An earlier Galley left a readable one."""
    file = tmp_path / "kept" / "apt.conf"
    file.parent.mkdir()
    file.write_text("an old one")
    file.chmod(0o644)
    with kept_apt(file.parent, SUITE, ARCH, [repository.line]):
        assert file.stat().st_mode & 0o777 == 0o600
        assert "Dir::State" in file.read_text()
    assert not file.exists()
    with pytest.raises(HostError), kept_apt(file.parent, SUITE, ARCH, ()):
        pass
    assert not file.exists()


def test_a_folder_that_cannot_be_made_is_an_error(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(HostError),
        kept_apt(tmp_path / "file" / "apt", SUITE, ARCH, [repository.line]),
    ):
        pass


def test_the_configuration_of_the_computer_does_not_count(
    tmp_path: Path, deb: Path, key: Key, other_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It allows unsigned and expired repositories here."""
    config = tmp_path / "apt.conf"
    config.write_text(
        'Acquire::Check-Valid-Until "false";\nAcquire::AllowInsecureRepositories "true";\n'
        'APT::Get::AllowUnauthenticated "true";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))
    for make in (expired, unsigned):
        repository = make(tmp_path / make.__name__, [deb], key, other_key)
        with (
            kept_apt(tmp_path / "apt", SUITE, ARCH, [repository.line]) as apt,
            pytest.raises(HostError),
        ):
            apt.update(ignore)


def test_without_lines_there_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(HostError) as raised:
        Apt(tmp_path, SUITE, ARCH, ())
    assert raised.value.code == CHECK_NO_SOURCE.code


def test_without_apt_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ToolMissing),
        kept_apt(tmp_path / "apt", SUITE, ARCH, ["deb file:/x trixie main"]),
    ):
        pass


def test_changelogs_that_cannot_be_stored_are_an_error(tmp_path: Path) -> None:
    apt = Apt(tmp_path / "apt", SUITE, ARCH, ["deb http://127.0.0.1:9 x y"])
    shutil.rmtree(tmp_path / "apt")
    with pytest.raises(HomeUnusable):
        apt.changelogs({"tool": "1"}, ignore)


def test_the_deadline_of_a_step_is_no_failed_write(tmp_path: Path, repository: Repository) -> None:
    apt = updated(tmp_path, repository.line)

    def late(_text: Text) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        apt.changelogs({"tool": "1:2-3+b1"}, late)
