"""The processes of a container, as different programs tell of them."""

import pytest

from engine.docker.processes import parse_processes


@pytest.mark.parametrize(
    ("said", "memory"),
    [("9120", 9120 << 10), ("109m", 109 << 20), ("1.5g", 3 << 29), ("0", 0)],
)
def test_memory_in_the_words_of_every_ps(said: str, memory: int) -> None:
    answer = f'{{"Titles": ["PID", "RSS", "COMMAND"], "Processes": [["7", "{said}", "x"]]}}'
    [process] = parse_processes(answer.encode())
    assert (process.pid, process.memory) == (7, memory)
