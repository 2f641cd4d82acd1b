"""Where this home's images come from, by its settings and proxies.

Next: `engine/images/origin.py`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

from engine.guest.channels import ENGINES, Channel
from engine.images import address as addresses
from engine.images.docker_repository import apt_source
from engine.images.feed import Feed
from engine.images.feed_keys import PINNED
from engine.images.minisign import PublicKey
from engine.images.origin import DebianOrigin, FeedOrigin, Origin
from engine.images.source import Access
from engine.lifecycle.machine_channel import channel as channel_of
from engine.lifecycle.machine_channel import channels, get_first
from engine.messages.feed import FEED_NO_KEY
from engine.messages.image import CHANNEL_NO_ADDRESS
from engine.provisioning import proxies
from engine.settings import proxy_address
from engine.settings.store import SettingsStore
from vm.errors import HostError, SettingsError
from vm.host.paths import Home
from vm.messages import Text

HTTPS = 443  # its port


def get_newest(
    home: Home, settings: SettingsStore, progress: Callable[[Text], None]
) -> tuple[Path, HostError | None]:
    """The newest image for the machine, downloaded or built; and why it is of another channel than
    a new machine would take. Raises GalleyError and what `progress` raises."""

    def get(channel: Channel) -> Path:
        origin = origin_of(home, settings, channel)
        return origin.get(home.images, datetime.now(UTC), progress)

    return get_first(channels(home, settings.load().channel), get)


def origin_of(home: Home, settings: SettingsStore, channel: Channel | None = None) -> Origin:
    """The origin of the channel's images, by default of the machine's. Raises SettingsError,
    KeyringUnusable, HostError."""
    now = settings.load()
    channel = channel or channel_of(home, now.channel)
    if now.image_feed:
        return feed_origin(home, settings, now.image_feed, now.image_feed_signer, channel)
    repository = partial(repository_of, settings, channel)
    return DebianOrigin(channel, home.apt, home.changelogs, repository)


def repository_of(
    settings: SettingsStore, channel: Channel, progress: Callable[[Text], None]
) -> str:
    """The source of the channel's engine, as deb822; empty where it is Debian's. Raises
    SettingsError, KeyringUnusable, HostError, and what `progress` raises."""
    engine, address = ENGINES[channel], settings.load().docker_repository
    if engine.repository is None:
        return ""
    if not address:
        raise SettingsError(CHANNEL_NO_ADDRESS)
    access = Access(proxies_for(address, settings))
    return apt_source(engine.repository, engine.suite, address, progress, access)


def feed_origin(
    home: Home, settings: SettingsStore, address: str, key: str, channel: Channel
) -> FeedOrigin:
    """`key`: the feed's; empty for Galley's own. Raises SettingsError, KeyringUnusable,
    HostError."""
    keys = (key,) if key else PINNED
    if not keys:
        raise SettingsError(FEED_NO_KEY, address=address)
    addresses.check(address)
    trusted = [PublicKey.parse(each) for each in keys]
    feed = Feed(address, trusted, home.image_feeds, proxies_for(address, settings))
    return FeedOrigin(channel, feed)


def proxies_for(address: str, settings: SettingsStore) -> Mapping[str, str]:
    """By scheme, each with its password, for the feed with this address; {} where it is reached
    without one. They stay in this process. Raises KeyringUnusable, HostError."""
    place = urlsplit(address)
    if place.scheme != "https" or not place.hostname:  # http only to this computer itself
        return {}
    found, _problem = proxies.wanted(settings)
    if not found.https or found.bypasses(place.hostname, place.port or HTTPS):
        return {}
    return {"https": _with_password(found.https)}


def _with_password(address: str) -> str:
    if not proxy_address.wants_login(address):
        return address
    scheme, rest = address.split("://", 1)
    user, _, place = rest.rpartition("@")
    return f"{scheme}://{user}:{quote(proxies.password(address), safe='')}@{place}"
