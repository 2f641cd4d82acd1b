"""`GET /_ping`: through the bridge, over raw forwarding, and on dockerd's own socket in the guest.

Next: `engine/bridge/pump.py` and `vm/guest/ssh.py`, which make up the cost of the bridge.
"""

from collections.abc import Iterator
from statistics import median

from tests.bench.figures import Row, at_most, compared, row
from tests.bench.http_endpoints import ping, ping_on_new_connection
from tests.bench.lab import Lab
from tests.bench.timing import alternate

# All requests at once, because an emulated guest's shell that sends them one by one would measure
# itself. The write side stays open until all answers have arrived: a half-close would end them. An
# answer's body has no line end, so the next answer begins on its line.
INSIDE = """
while [ ${i:=0} -lt $1 ]; do
  printf 'GET /_ping HTTP/1.1\\r\\nHost: docker\\r\\n\\r\\n'
  i=$((i+1))
done > /run/asks
read began _ < /proc/uptime
{ cat /run/asks; sleep 5; } | nc.openbsd -N -U /run/docker.sock | {
  grep -m $1 -c 'HTTP/1.1 200'
  read ended _ < /proc/uptime
  echo $began $ended
}
rm /run/asks
"""


def measure(lab: Lab) -> Iterator[Row]:
    raw, bridge = lab.raw(), lab.bridge()
    with raw() as over_raw, bridge() as over_bridge:
        alternate(20, lambda: ping(over_bridge), lambda: ping(over_raw))  # to warm up
        kept = alternate(
            lab.times(500, 50), lambda: 1e3 * ping(over_bridge), lambda: 1e3 * ping(over_raw)
        )
    yield compared("ping.kept_connection", "ms", kept, at_most(1.2))
    anew = alternate(
        lab.times(300, 30),
        lambda: 1e3 * ping_on_new_connection(bridge),
        lambda: 1e3 * ping_on_new_connection(raw),
    )
    yield compared("ping.new_connection", "ms", anew, at_most(1.5))
    inside = [_inside(lab) for _ in range(lab.times(5, 2))]
    yield row("ping.beside_dockerd", median(kept[0]), "ms", floor=median(inside), n=len(inside))


def _inside(lab: Lab, count: int = 500) -> float:
    """Milliseconds for each of `count` pings that are sent at once in the guest."""
    guest = lab.guest()
    done = guest.run(("sh", "-c", INSIDE, "sh", str(count)))
    guest.close()
    answered, times = done.stdout.decode().splitlines()
    assert int(answered) == count, done.tail()
    began, ended = map(float, times.split())
    return 1e3 * (ended - began) / count
