"""Where this home's images come from, by its settings and proxies.

Next: `engine/images/origin.py`.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from engine.guest.recipe import Channel
from engine.images import address as addresses
from engine.images.feed import Feed
from engine.images.feed_keys import PINNED
from engine.images.minisign import PublicKey
from engine.images.origin import DebianOrigin, FeedOrigin, Origin
from engine.messages.feed import FEED_NO_KEY
from engine.provisioning import proxies
from engine.settings import proxy_address
from engine.settings.store import SettingsStore
from vm.errors import SettingsError
from vm.host.paths import Home

HTTPS = 443  # its port


def origin_of(home: Home, settings: SettingsStore) -> Origin:
    """Raises SettingsError, KeyringUnusable, HostError."""
    now = settings.load()
    channel = Channel(now.channel)
    if not now.image_feed:
        return DebianOrigin(channel, home.apt, home.changelogs)
    return feed_origin(home, settings, now.image_feed, now.image_feed_signer)


def feed_origin(home: Home, settings: SettingsStore, address: str, key: str) -> FeedOrigin:
    """`key`: the feed's; empty for Galley's own. Raises SettingsError, KeyringUnusable,
    HostError."""
    keys = (key,) if key else PINNED
    if not keys:
        raise SettingsError(FEED_NO_KEY, address=address)
    addresses.check(address)
    trusted = [PublicKey.parse(each) for each in keys]
    feed = Feed(address, trusted, home.image_feeds, proxies_for(address, settings))
    return FeedOrigin(Channel(settings.load().channel), feed)


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
