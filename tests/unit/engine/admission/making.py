"""An `Admission` for tests: what is given, and otherwise nothing shared, no proxy, no ports."""

from collections.abc import Mapping

from engine.admission.admission import Admission, Starts
from engine.ports.services import ServiceSpec
from engine.shares.binds import Sharing

NOTHING_SHARED = Sharing("/nowhere.sock")


class NoStarts:
    """Every start may go on at once."""

    def about_to(self, container: str) -> None:
        return None

    def about_to_serve(self, spec: ServiceSpec) -> None:
        return None

    def settle(self) -> None: ...


def admission(
    sharing: Sharing = NOTHING_SHARED,
    variables: Mapping[str, str] | None = None,
    starts: Starts | None = None,
) -> Admission:
    return Admission(
        sharing=lambda: sharing,
        variables=lambda: variables or {},
        starts=starts or NoStarts(),
        swarming=lambda verb: None,
    )
