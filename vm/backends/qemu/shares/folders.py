"""Folders of the host in the guest, and by what: virtiofs, or SFTP.

virtiofs needs a program of its own, which only Linux has, and is the faster. SFTP works everywhere;
it is served by our own process (`vm/sftp/server.py`), and QEMU knows nothing of it. QEMU has 9p,
too, but suspends no machine that uses it (docs/adr/0028-no-9p.md). Next: `virtiofsd.py`,
`vm/backends/qemu/start.py`, and `shares` among the guest's files.
"""

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from vm.backends.qemu.shares import virtiofsd
from vm.errors import SettingsError, ToolMissing
from vm.host import private_folders
from vm.host.paths import Home
from vm.types import Share

VIRTIOFS, SFTP = WAYS = ("virtiofs", "sftp")
# So the guest is told where this host's user is asked, whoever asks there: what he may is decided
# here then. Root may do everything, and there the guest has to say by itself who may what.
SFTP_OF_ONE = "sftp-of-one"
WORDS = WORD, COVER = "galley.share=", "galley.cover="
WORDS_LIMIT = 1400  # bytes; of the kernel's 2048, the rest of its command line takes under 500


def choose(asked: str) -> str:
    """One of WAYS; "auto" is the first that is here. Raises ToolMissing."""
    if asked == SFTP:
        return SFTP
    try:
        virtiofsd.find()
    except ToolMissing:
        if asked == VIRTIOFS:
            raise
        return SFTP
    return VIRTIOFS


def readable(shares: tuple[Share, ...]) -> tuple[Share, ...]:
    """Those that are folders we may enter."""
    return tuple(
        share
        for share in shares
        if os.path.isdir(share.host_path) and os.access(share.host_path, os.R_OK | os.X_OK)
    )


def left_to_guest(shares: tuple[Share, ...], kind: str, home: Home) -> tuple[str, ...]:
    """Private folders in there that only the guest can cover, as its paths."""
    if kind != VIRTIOFS or virtiofsd.covers():
        return ()
    private = private_folders.of(home)
    return tuple(
        str(PurePosixPath(share.guest_path, Path(path).relative_to(share.host_path).as_posix()))
        for share in shares
        for path in private_folders.inside(share.host_path, private)
    )


def guest_words(
    shares: tuple[Share, ...], kind: str, covered: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """How the guest learns what to mount where, and what to cover then. Raises SettingsError when
    it is too much."""
    told = SFTP_OF_ONE if kind == SFTP and not _is_root() else kind
    words = tuple(
        f"{WORD}share{number},{told},{'ro' if share.read_only else 'rw'},{quote(share.guest_path)}"
        for number, share in enumerate(shares)
    )
    words += tuple(f"{COVER}{quote(path)}" for path in dict.fromkeys(covered))
    if sum(len(word) + 1 for word in words) > WORDS_LIMIT:
        raise SettingsError(
            f"These are too many shared folders, or too long names: {len(shares)} folders.",
            "Share a folder that holds several of them: galley settings set shares",
        )
    return words


def _is_root() -> bool:
    return hasattr(os, "getuid") and os.getuid() == 0
