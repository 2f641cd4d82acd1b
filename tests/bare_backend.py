"""A backend with the mandatory members only."""

from vm.backends.fake import FakeBackend


class BareBackend(FakeBackend):
    """The fake without its capabilities."""

    def __init__(self) -> None:
        """Sets no capability, so all of them are None."""
