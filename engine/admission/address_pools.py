"""A new swarm's pool of addresses, without those of the machine's own network.

dockerd cuts the overlay networks out of 10.0.0.0/8, one /24 after another, and does not look which
are in use. After "ingress" and a first network comes 10.0.2.0/24, where the machine has its
address, its gateway and its resolver: containers on it reach none of them. A pool that the client
names is kept. Next: `admission.py`.
"""

import msgspec

from engine.admission.create_request import InitSwarm

POOL = ("10.64.0.0/10",)


def with_pool(request: InitSwarm) -> InitSwarm:
    if request.default_addr_pool:
        return request
    return msgspec.structs.replace(request, default_addr_pool=POOL)
