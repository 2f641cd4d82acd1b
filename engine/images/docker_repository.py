"""Docker's own apt repository, for the channel `docker`: a source for apt that trusts one key.

The address is the user's, the key's fingerprint is the recipe's. The key is fetched from the
repository and written into the source. Next: `openpgp.py`, `engine/guest/channels.py`.
"""

from collections.abc import Callable
from urllib.parse import quote

from engine.guest.channels import Repository
from engine.images import address as addresses
from engine.images.download import fetch_bytes
from engine.images.openpgp import only_key
from engine.images.source import Access
from engine.messages.image import CHANNEL_OTHER_KEY
from vm.errors import HostError, Retry
from vm.messages import Text

KEY_BYTES = 64 << 10  # of the key's file


def apt_source(
    repository: Repository,
    suite: str,
    address: str,
    progress: Callable[[Text], None],
    access: Access | None = None,
) -> str:
    """The repository at `address` as deb822 (sources.list(5)).

    Raises SettingsError for an address that is none; HostError when the key cannot be fetched, or
    is not the pinned one; and what `progress` raises.
    """
    addresses.check(address)
    file = fetch_bytes(addresses.join(address, repository.key), KEY_BYTES, progress, access)
    try:
        key = only_key(file, repository.fingerprint)
    except ValueError as error:
        raise _other_key(address, repository.fingerprint, str(error)) from error
    if not key:
        raise _other_key(address, repository.fingerprint, "")
    signed_by = [f" {line or '.'}" for line in key.splitlines()]
    paragraph = (
        "Types: deb",
        f"URIs: {_uri(address)}",
        f"Suites: {suite}",
        f"Components: {repository.component}",
        "Signed-By:",
    )
    return "\n".join([*paragraph, *signed_by, ""])


def _uri(address: str) -> str:
    """apt would use files of `file:` where they are, which mmdebstrap does not allow."""
    path = addresses.local_path(address)
    return address if path is None else f"copy:{quote(path.as_posix())}"


def _other_key(address: str, fingerprint: str, details: str) -> HostError:
    return HostError(
        CHANNEL_OTHER_KEY,
        address=addresses.shown(address),
        fingerprint=fingerprint,
        details=details,
        retry=Retry.NO,
    )
