"""How folders of the host are shared with the guest: virtiofs or SFTP.

virtiofs is faster, and needs virtiofsd, which exists on Linux only. SFTP works everywhere: the
supervisor serves it (`vm/sftp/server.py`), without QEMU. QEMU has 9p, too, but cannot suspend a
machine that uses it (docs/adr/0028-no-9p.md). Next: `virtiofsd.py`, `vm/backends/qemu/start.py`,
and the guest's `shares`.
"""

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from vm.backends.qemu.shares import virtiofsd
from vm.errors import SettingsError, ToolMissing
from vm.host import ownership, private_folders
from vm.host.paths import Home
from vm.messages.qemu import SHARES_TOO_MANY
from vm.types import Share

VIRTIOFS, SFTP = WAYS = ("virtiofs", "sftp")
# An ordinary user's virtiofsd checks permissions on the host, for every user of the guest. Root's
# may do everything, so there the guest checks permissions itself.
SFTP_OF_ONE = "sftp-of-one"
WORDS = WORD, COVER = "galley.share=", "galley.cover="
WORDS_LIMIT = 1400  # bytes; of the kernel's 2048, the rest of its command line takes under 500


def choose(asked: str) -> str:
    """One of WAYS; "auto" is the first that is available. Raises ToolMissing."""
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
    """The shares whose folder exists and may be entered."""
    return tuple(
        share
        for share in shares
        if os.path.isdir(share.host_path) and os.access(share.host_path, os.R_OK | os.X_OK)
    )


def left_to_guest(shares: tuple[Share, ...], kind: str, home: Home) -> tuple[str, ...]:
    """Private folders in the shares that only the guest can hide, as paths of the guest."""
    if kind != VIRTIOFS or virtiofsd.can_cover():
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
    """Kernel words that tell the guest what to mount where, and what to hide. Raises SettingsError
    when they are too long."""
    way = SFTP_OF_ONE if kind == SFTP and not ownership.is_root() else kind
    words = tuple(
        f"{WORD}share{number},{way},{'ro' if share.read_only else 'rw'},{quote(share.guest_path)}"
        for number, share in enumerate(shares)
    )
    words += tuple(f"{COVER}{quote(path)}" for path in dict.fromkeys(covered))
    if sum(len(word) + 1 for word in words) > WORDS_LIMIT:
        raise SettingsError(
            SHARES_TOO_MANY,
            count=len(shares),
        )
    return words
