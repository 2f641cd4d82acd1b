"""A key pair of the real program minisign, and its signatures."""

import subprocess
from pathlib import Path

from engine.images.minisign import PublicKey


class Signer:
    """`folder` keeps the keys."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.secret, self.public = folder / "secret", folder / "public"
        _minisign("-G", "-W", "-s", self.secret, "-p", self.public)
        self.key = PublicKey.parse(self.public.read_text())

    def sign(self, file: Path, *options: str) -> str:
        """The content of `file`.minisig, which is written."""
        _minisign("-S", *options, "-s", self.secret, "-m", file)
        return file.with_name(file.name + ".minisig").read_text()


def _minisign(*words: str | Path) -> None:
    subprocess.run(["minisign", *words], check=True, capture_output=True, timeout=20)
