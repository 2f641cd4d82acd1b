"""Makes an `Admission` for tests; by default without shares, proxies and ports."""

from collections.abc import Mapping

from engine.admission.admission import Admission, Starts
from engine.ports.services import ServiceSpec
from engine.shares.binds import Sharing

NOTHING_SHARED = Sharing("/nowhere.sock")


class NoStarts:
    """Allows every start immediately."""

    def about_to(self, container: str) -> None:
        return None

    def about_to_serve(self, spec: ServiceSpec) -> None:
        return None

    def settle(self) -> None: ...


class GivenFolders:
    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    def sharing(self) -> Sharing:
        return self._sharing


class GivenProxies:
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def proxy_variables(self) -> Mapping[str, str]:
        return self._variables


class NoSwarm:
    """Requires no preparation of dockerd for a swarm."""

    def about_to(self, verb: str) -> None:
        return None


def admission(
    sharing: Sharing = NOTHING_SHARED,
    variables: Mapping[str, str] | None = None,
    starts: Starts | None = None,
) -> Admission:
    return Admission(
        GivenFolders(sharing), GivenProxies(variables or {}), starts or NoStarts(), NoSwarm()
    )
