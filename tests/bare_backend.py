"""A backend that is what every backend has to be, and no more."""

from vm.backends.fake import FakeBackend


class BareBackend(FakeBackend):
    """The fake without its capabilities."""

    def __init__(self) -> None:
        """It sets none, so all of them are None."""
