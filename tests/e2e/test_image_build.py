"""Two builds of the same packages give the same bytes, whatever the user's environment is."""

import os
import subprocess
import tempfile
from pathlib import Path

import msgspec
import pytest

from tests.e2e.galley import GALLEY, PATIENCE, ROOT
from vm import image
from vm.image import Manifest


class Environment(msgspec.Struct, frozen=True):
    """What differs between two users. `timezone`: in the syntax that needs no database."""

    umask: int
    locale: str
    timezone: str


ORDINARY = Environment(0o022, "C.UTF-8", "UTC0")
OTHER = Environment(0o077, "C", "LINT-14")


@pytest.mark.timeout(400)
def test_two_builds_of_the_same_packages_have_the_same_parts() -> None:
    first, second = build(ORDINARY), build(OTHER)
    if first.package_set != second.package_set:  # the mirror has changed in between
        first = build(ORDINARY)
    assert first.package_set == second.package_set
    assert digests(first) == digests(second)


def build(environment: Environment) -> Manifest:
    """The manifest of a new image, which is verified and then removed."""
    with tempfile.TemporaryDirectory(prefix="galley-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # without root, mmdebstrap works in TMPDIR as another user
        temporary = folder / "tmp"
        temporary.mkdir()
        temporary.chmod(0o755)
        done = subprocess.run(
            [*GALLEY, "image", "build", "--to", str(folder / "images")],
            env={
                **os.environ,
                "GALLEY_HOME": str(folder / "home"),
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(temporary),
                "LC_ALL": environment.locale,
                "TZ": environment.timezone,
            },
            umask=environment.umask,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
        (made,) = image.find(folder / "images")
        return image.verify(made)


def digests(manifest: Manifest) -> dict[str, str]:
    return {part.name: part.sha256 for part in manifest.parts}
