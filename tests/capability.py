"""A capability that the test's backend has."""


def have[T](capability: T | None) -> T:
    """`have(backend.pauses)` is that capability; a backend without it fails the test."""
    assert capability is not None, "the backend lacks it"
    return capability
