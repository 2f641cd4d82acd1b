"""Waiting for descriptors, on real pipes."""

import os

from vm.host.poll import readable


def test_the_descriptors_that_have_data_are_returned(more_files: None) -> None:
    (first, _), (second, into_second) = pipes = os.pipe(), os.pipe()
    wait = readable(first, second)
    assert wait(0) == []
    os.write(into_second, b"data")
    assert [descriptor for descriptor, _ in wait(None)] == [second]
    os.read(second, 4)
    assert wait(0) == []
    for descriptor in (*pipes[0], *pipes[1]):
        os.close(descriptor)


def test_the_end_of_the_other_side_is_an_event() -> None:
    reading, writing = os.pipe()
    wait = readable(reading)
    os.close(writing)
    assert [descriptor for descriptor, _ in wait(None)] == [reading]
    os.close(reading)
