"""A new swarm's pool of addresses, without those of the machine's own network.

dockerd cuts the overlay networks out of 10.0.0.0/8, one /24 after another, and does not look which
are in use. After "ingress" and a first network comes 10.0.2.0/24, where the machine has its
address, its gateway and its resolver: containers on it reach none of them. A pool that the client
names is kept. Next: `engine/bridge/requests.py`, which calls it.
"""

import msgspec

from engine.json_input import UNREADABLE
from engine.shares.binds import Object, decode, key_of

POOL = ("10.64.0.0/10",)


def check(body: bytes) -> bytes | None:
    """The body of a `swarm init` as dockerd is to see it; None for as it is."""
    try:
        document = msgspec.json.decode(body, type=Object)
        key = key_of(document, "DefaultAddrPool")
        if decode(document, key, list[str] | None):
            return None
    except UNREADABLE:  # for dockerd to refuse
        return None
    return msgspec.json.encode({**document, key: POOL})
