"""Two builds of the same packages give the same bytes, whatever the user's environment is.

The first one is of a new user whose mirror of Debian's next release has expired.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.debian_repository import signing_key, write
from tests.e2e.galley import GALLEY, PATIENCE, ROOT
from vm import image
from vm.image import Manifest


class Environment(msgspec.Struct, frozen=True):
    """What differs between two users. `timezone`: in the syntax that needs no database."""

    umask: int
    locale: str
    timezone: str


ORDINARY = Environment(0o022, "C.UTF-8", "UTC0")
STABLE = ("--channel", "stable")
OTHER = Environment(0o077, "C", "LINT-14")


@pytest.mark.timeout(400)
def test_two_builds_of_the_same_packages_have_the_same_parts(expired: Path) -> None:
    first, told = build(ORDINARY, apt=expired)
    assert first.channel == "stable"
    assert "latest is not available" in told
    assert "its Release file has expired" in told
    second, _told = build(OTHER, *STABLE)
    if first.package_set != second.package_set:  # the mirror has changed in between
        first, _told = build(ORDINARY, *STABLE)
    assert first.package_set == second.package_set
    assert digests(first) == digests(second)


@pytest.fixture
def expired() -> Iterator[Path]:
    """A configuration of apt: this computer's, and a mirror whose next release has expired."""
    past = datetime.now(UTC) - timedelta(days=2)
    with tempfile.TemporaryDirectory(prefix="galley-") as name, signing_key() as made:
        folder = Path(name)
        folder.chmod(0o755)  # apt reads it as another user
        etc = folder / "etc"
        shutil.copytree("/etc/apt", etc, symlinks=True)
        key = msgspec.structs.replace(made, public=etc / "debian-archive-test.gpg")
        key.public.write_bytes(made.public.read_bytes())
        mirror = write(folder / "mirror", [], key)
        write(mirror.root, [], key, suite="forky", date=past, valid_until=past)
        (etc / "sources.list.d" / "test.list").write_text(f"{mirror.line}\n")
        config = folder / "apt.conf"
        config.write_text(f'Dir::Etc "{etc}";\n')
        yield config


def build(environment: Environment, *options: str, apt: Path | None = None) -> tuple[Manifest, str]:
    """The manifest of a new image, which is verified and then removed; and what was reported."""
    with tempfile.TemporaryDirectory(prefix="galley-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # without root, mmdebstrap works in TMPDIR as another user
        temporary = folder / "tmp"
        temporary.mkdir()
        temporary.chmod(0o755)
        done = subprocess.run(
            [*GALLEY, "image", "build", "--to", str(folder / "images"), *options],
            env={
                **os.environ,
                "GALLEY_HOME": str(folder / "home"),
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(temporary),
                "LC_ALL": environment.locale,
                "TZ": environment.timezone,
                **({"APT_CONFIG": str(apt)} if apt is not None else {}),
            },
            umask=environment.umask,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
        (made,) = image.find(folder / "images")
        return image.verify(made), done.stderr.decode()


def digests(manifest: Manifest) -> dict[str, str]:
    return {part.name: part.sha256 for part in manifest.parts}
