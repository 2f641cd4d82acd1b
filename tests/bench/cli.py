"""The start-up time of a `galley` command. Next: `engine/cli/app.py`."""

from collections.abc import Iterator
from statistics import median

from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    rounds = lab.times(20, 5)
    status = [seconds_of(lambda: galley.run("status")) for _ in range(rounds)]
    yield row("cli.status", median(status), "s", n=rounds, goal=at_most(0.25))
    ours, plain = alternate(
        rounds,
        lambda: seconds_of(lambda: galley.run("docker", "ps")),
        lambda: seconds_of(lambda: galley.docker("ps")),
    )
    added = median(one - other for one, other in zip(ours, plain, strict=True))
    yield row("cli.docker_ps_added", added, "s", n=rounds, goal=at_most(0.15))
    yield row("cli.docker_ps_plain", median(plain), "s", n=rounds)
