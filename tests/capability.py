"""Gets a capability that the test's backend must have."""


def have[T](capability: T | None) -> T:
    """`have(backend.pauses)` returns the capability; a backend without it fails the test."""
    assert capability is not None, "the backend lacks it"
    return capability
