"""Docker's repository as apt sees it: a local one of real packages, with a key of the test's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.guest.channels import ENGINES, Channel, Repository
from engine.images.apt import Apt
from engine.images.docker_repository import KEY_BYTES, apt_source
from engine.messages.feed import DOWNLOAD_TOO_LARGE
from engine.messages.image import (
    CHANNEL_OTHER_KEY,
    CHECK_NOT_SIGNED,
    RECIPE_DEBIAN_EXPIRED,
)
from tests.debian_repository import (
    ARCH,
    SUITE,
    Key,
    PackageSpec,
    make_deb,
    signing_key,
    write,
)
from vm.errors import GalleyError, HostError, SettingsError
from vm.messages import Text

PINNED = ENGINES[Channel.DOCKER].repository
ENGINE = PackageSpec("docker-ce", "5:28.5.1-1~debian.13~trixie")
DEBIAN = PackageSpec("busybox-static", "1:1.37.0-6")


@pytest.fixture(scope="module")
def key() -> Iterator[Key]:
    with signing_key() as made:
        yield made


def silent(_text: Text) -> None:
    pass


def trusting(key: Key) -> Repository:
    """Docker's repository, as if `key` was Docker's."""
    assert PINNED is not None
    return msgspec.structs.replace(PINNED, fingerprint=key.fingerprint)


def published(
    folder: Path, key: Key, signer: Key | None = None, valid_until: datetime | None = None
) -> Path:
    """A repository with Docker's package, its key beside it. `signer`: another key signs it."""
    deb = make_deb(folder / "debs", ENGINE)
    date = valid_until and valid_until - timedelta(days=7)
    made = write(
        folder / "docker",
        [deb],
        signer or key,
        component="stable",
        date=date,
        valid_until=valid_until,
    )
    (made.root / "gpg").write_bytes(key.public.read_bytes())
    return made.root


def apt_with(source: str, folder: Path, key: Key) -> Apt:
    debian = write(folder / "debian", [make_deb(folder / "debs", DEBIAN)], key)
    (folder / "apt").mkdir()
    return Apt(folder / "apt", SUITE, ARCH, [debian.line], source)


def test_apt_has_the_packages_of_both_repositories(key: Key, tmp_path: Path) -> None:
    root = published(tmp_path, key)
    source = apt_source(trusting(key), SUITE, str(root), silent)
    assert source == apt_source(trusting(key), SUITE, root.as_uri(), silent)
    apt = apt_with(source, tmp_path, key)
    apt.update(silent)
    found = apt.candidates(["docker-ce", "busybox-static", "docker.io"])
    assert {name: each.version for name, each in found.items()} == {
        "docker-ce": ENGINE.version,
        "busybox-static": DEBIAN.version,
    }


def test_a_repository_without_the_pinned_key_is_refused(key: Key, tmp_path: Path) -> None:
    root = published(tmp_path, key)
    assert PINNED is not None
    for file in (key.public.read_bytes(), b"<html>Log in</html>", b""):
        (root / "gpg").write_bytes(file)
        with pytest.raises(HostError) as raised:
            apt_source(PINNED, SUITE, str(root), silent)
        assert raised.value.code == CHANNEL_OTHER_KEY.code
        assert PINNED.fingerprint in raised.value.summary


def test_a_key_that_is_added_to_the_file_signs_nothing(key: Key, tmp_path: Path) -> None:
    """As by a server that was taken over."""
    with signing_key() as thief:
        root = published(tmp_path, key, thief)
        (root / "gpg").write_bytes(key.public.read_bytes() + thief.public.read_bytes())
        source = apt_source(trusting(key), SUITE, str(root), silent)
        apt = apt_with(source, tmp_path, key)
        with pytest.raises(HostError) as raised:
            apt.update(silent)
    assert raised.value.code == CHECK_NOT_SIGNED.code
    assert str(root) in raised.value.summary


def test_an_expired_repository_is_named(key: Key, tmp_path: Path) -> None:
    root = published(tmp_path, key, valid_until=datetime.now(UTC) - timedelta(days=2))
    apt = apt_with(apt_source(trusting(key), SUITE, str(root), silent), tmp_path, key)
    with pytest.raises(HostError) as raised:
        apt.update(silent)
    assert raised.value.code == RECIPE_DEBIAN_EXPIRED.code
    assert str(root) in raised.value.summary


def test_a_key_file_has_a_limit(key: Key, tmp_path: Path) -> None:
    root = published(tmp_path, key)
    (root / "gpg").write_bytes(bytes(KEY_BYTES + 1))
    with pytest.raises(HostError) as raised:
        apt_source(trusting(key), SUITE, str(root), silent)
    assert raised.value.code == DOWNLOAD_TOO_LARGE.code


@pytest.mark.parametrize("address", ["http://example.com/debian", "ftp://example.com", "relative"])
def test_an_address_that_is_not_safe_is_refused(address: str) -> None:
    assert PINNED is not None
    with pytest.raises(SettingsError):
        apt_source(PINNED, SUITE, address, silent)


def test_a_repository_that_is_not_there_is_an_error(key: Key, tmp_path: Path) -> None:
    with pytest.raises(GalleyError):
        apt_source(trusting(key), SUITE, str(tmp_path / "none"), silent)
