"""The processes of a container, from the output of different ps programs."""

import pytest

from engine.docker.processes import parse_processes


@pytest.mark.parametrize(
    ("rss", "memory"),
    [("9120", 9120 << 10), ("109m", 109 << 20), ("1.5g", 3 << 29), ("0", 0)],
)
def test_memory_is_parsed_from_the_format_of_every_ps(rss: str, memory: int) -> None:
    answer = f'{{"Titles": ["PID", "RSS", "COMMAND"], "Processes": [["7", "{rss}", "x"]]}}'
    [process] = parse_processes(answer.encode())
    assert (process.pid, process.memory) == (7, memory)
