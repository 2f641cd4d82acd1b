"""Main path and conformance suite on the image channels that `./dev test` does not use.

    ./dev channels [latest] [docker] [-- PYTEST ARGUMENTS…]

`channel_packages.py` says where the packages are from. `latest` is compared with a native dockerd
of the same packages.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from engine.guest.build import build
from engine.guest.channels import ENGINES, Channel
from engine.images.docker_repository import apt_source
from tests import channel_packages
from tests.debian_repository import Key, signing_key
from vm.messages import Text

CHANNELS = (Channel.LATEST, Channel.DOCKER)
TESTS = ("tests/e2e/test_main_path.py", "tests/conformance")
KEY = "debian-archive-test.gpg"  # apt's sources are Debian's by the name of their key


def main(words: list[str]) -> int:
    names, _, given = " ".join(words).partition("--")
    codes = [run(Channel(name), given.split()) for name in names.split() or CHANNELS]
    return max(codes)


def run(channel: Channel, arguments: list[str]) -> int:
    """Build the channel's image and run the tests with it; returns pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="galley-channel-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        report(f"{channel}: fetching packages")
        debs = channel_packages.download(channel, folder / "apt")
        report(f"{channel}: building the image")
        make = make_latest if channel is Channel.LATEST else make_docker
        with signing_key() as key:
            image = make(debs, folder, key)
        env = {
            **os.environ,
            "GALLEY_TEST_CHANNEL": channel,
            "GALLEY_TEST_IMAGES": str(image.parent),
        }
        if channel is Channel.LATEST:
            root = channel_packages.unpack(debs, folder / "native")
            env["GALLEY_TEST_NATIVE"] = str(root / "usr")
        report(f"{channel}: {image.name}")
        return subprocess.run(["python", "-m", "pytest", *(arguments or TESTS)], env=env).returncode


def make_latest(debs: list[Path], folder: Path, key: Key) -> Path:
    """As the user's command does, with an apt that has the local repository as its only source."""
    public = folder / KEY
    public.write_bytes(key.public.read_bytes())
    repository = channel_packages.write_latest(
        debs, folder / "repository", msgspec.structs.replace(key, public=public)
    )
    env = {**os.environ, "APT_CONFIG": str(apt_config(folder, repository.line))}
    words = ["galley", "image", "build", "--channel", "latest", "--to", str(folder / "images")]
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, check=True)
    return Path(done.stdout.decode().strip())


def make_docker(debs: list[Path], folder: Path, key: Key) -> Path:
    """With the test's key instead of Docker's."""
    root = channel_packages.write_docker(debs, folder / "repository", key).root
    engine = ENGINES[Channel.DOCKER]
    assert engine.repository is not None
    trusting = msgspec.structs.replace(engine.repository, fingerprint=key.fingerprint)
    source = apt_source(trusting, engine.suite, str(root), silent)
    images = folder / "images"
    images.mkdir()
    return build(images, channel=Channel.DOCKER, repository=source, progress=silent)


def apt_config(folder: Path, line: str) -> Path:
    """A configuration of apt with this source alone."""
    (folder / "etc").mkdir()
    (folder / "etc/sources.list").write_text(f"{line}\n")
    config = folder / "apt.conf"
    config.write_text(f'Dir::Etc "{folder}/etc";\n')
    return config


def report(text: str) -> None:
    sys.stderr.write(f"• {text}\n")


def silent(_text: Text) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
