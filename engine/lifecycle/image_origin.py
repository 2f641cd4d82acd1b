"""Where this home's images come from, by its settings and proxies.

Next: `engine/images/origin.py`.
"""

from collections.abc import Mapping
from urllib.parse import quote

from engine.credentials import proxy_password
from engine.guest.recipe import Channel
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


def origin_of(home: Home, settings: SettingsStore) -> Origin:
    """Raises SettingsError."""
    now = settings.load()
    channel = Channel(now.channel)
    if not now.image_feed:
        return DebianOrigin(channel, home.apt, home.changelogs)
    return feed_origin(home, settings, now.image_feed, now.image_feed_signer)


def feed_origin(home: Home, settings: SettingsStore, address: str, key: str) -> FeedOrigin:
    """`key`: the feed's; empty for Galley's own. Raises SettingsError, HostError."""
    keys = (key,) if key else PINNED
    if not keys:
        raise SettingsError(FEED_NO_KEY, address=address)
    trusted = [PublicKey.parse(each) for each in keys]
    feed = Feed(address, trusted, home.image_feeds, _proxies(settings))
    return FeedOrigin(Channel(settings.load().channel), feed)


def _proxies(settings: SettingsStore) -> Mapping[str, str]:
    """By scheme, each with its password from the keyring: they stay in this process."""
    found, _problem = proxies.wanted(settings)
    named = {"http": found.http, "https": found.https}
    return {name: _with_password(address) for name, address in named.items() if address}


def _with_password(address: str) -> str:
    if not proxy_address.wants_login(address):
        return address
    scheme, rest = address.split("://", 1)
    user, _, place = rest.rpartition("@")
    return f"{scheme}://{user}:{quote(proxy_password.find(address), safe='')}@{place}"
