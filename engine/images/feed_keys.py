"""The minisign public keys of Galley's own feed: the current one, and the one that replaces it.

A release adds them; docs/dev/guest-image.md says how they are made and rotated. Without any, only a
feed whose key is in the setting `image_feed_signer` can be used.
"""

PINNED: tuple[str, ...] = ()
