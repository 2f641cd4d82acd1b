"""Opens the ports of a container before it starts, and checks its folders; else it does not start.

`engine/admission/admission.py` calls `Starts.about_to` before every start and restart. The function
that it returns is called once dockerd has answered, before the client gets the answer. So a port in
use makes the start fail, as on Linux, and a published port is open when `docker run` returns. Ports
that dockerd chooses are known only afterwards: those in use here are reserved
(`engine/ports/reserved_ports.py`), `settle` opens the chosen ones, and the bridge waits for it
before it passes on a "start" event. A folder that is no longer shared makes the start fail too, for
dockerd would create an empty one. `about_to_serve` opens the ports of a service in the same way:
dockerd itself would not refuse those. Next:
`engine/ports/published_spec.py`, `engine/ports/services.py`, `engine/shares/shared_folders.py`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterable
from urllib.parse import quote

from engine.dockerapi.http import Dial, HttpError, delete, get_json
from engine.ports.published import PublishedPorts
from engine.ports.published_spec import Container, Default, InspectedContainer, fixed_forwards
from engine.ports.reserved_ports import ReservedPorts
from engine.ports.services import Services, ServiceSpec
from vm.errors import GalleyError, PortInUse
from vm.types import Forward

log = logging.getLogger(__name__)

LOST = (GalleyError, HttpError, OSError)


class Starts:
    """`dial_ports`: to the program in the guest that reserves ports; `default`: the addresses for
    ports without one; `services`: those of a swarm; `look`: lists the containers now and returns
    once their ports are open (`EngineWatch.look`); `must_share`: raises NotShared for paths in the
    guest that are not shared from this host. Any thread."""

    def __init__(
        self,
        dial: Dial,
        dial_ports: Dial,
        ports: PublishedPorts,
        default: Callable[[], Default],
        services: Services,
        look: Callable[[], None],
        must_share: Callable[[Iterable[str], Collection[str]], None],
    ) -> None:
        self._dial = dial
        self._ports = ports
        self._reserved_ports = ReservedPorts(dial_ports, ports.held)
        self._default = default
        self._services = services
        self._look = look
        self._must_share = must_share
        self._lock = threading.Lock()
        self._asked: dict[str, InspectedContainer] = {}

    def about_to(self, container: str) -> Callable[[], None] | None:
        """Before a start: open its fixed ports. Returns what to call when dockerd has answered, if
        anything. Raises NotShared, PortInUse, BackendFailed."""
        try:
            asked = self._ask(container)
        except LOST as error:
            log.info("a start of %s: %s", container, error)  # dockerd will report the error
            return None
        try:
            self._must_share(asked.folders, asked.made)
            return self._open(asked) if asked.publishes else None
        except GalleyError:
            self._ended(asked)
            raise

    def _open(self, asked: InspectedContainer) -> Callable[[], None]:
        default = self._default()
        reserved = self._reserve(asked.name, fixed_forwards(asked, default))
        with contextlib.ExitStack() as held:  # undone in reverse, also after a failure
            held.callback(self._done, reserved)
            held.callback(self._reserved_ports.hold(asked, default))
            return held.pop_all().close

    def about_to_serve(self, spec: ServiceSpec) -> Callable[[], None] | None:
        """Like `about_to`, for a service that is created or updated. Raises PortInUse,
        BackendFailed."""
        if not spec.ports:
            return None
        default = self._default()
        had = self._services.had(spec.Name, default)  # those in host mode are its own container's
        new = [forward for forward in spec.forwards(default) if forward not in had]
        with contextlib.ExitStack() as held:
            held.enter_context(self._services.expected())
            held.callback(self._done, self._reserve(spec.Name, new, service=True))
            return held.pop_all().close

    def _reserve(
        self, name: str, forwards: list[Forward], *, service: bool = False
    ) -> list[Forward]:
        try:
            return self._ports.reserve(name, forwards, service=service)
        except PortInUse:  # perhaps by a container that has just ended
            self._look()
            return self._ports.reserve(name, forwards, service=service)

    def settle(self) -> None:
        """Returns when the ports of every container that runs now are open."""
        self._look()

    def asked(self, containers: Iterable[Container]) -> dict[str, InspectedContainer]:
        """The inspected container of each, by id. `containers`: all that run."""
        found = {}
        for container in containers:
            with self._lock:
                known = self._asked.get(container.Id)
            try:
                found[container.Id] = known or self._ask(container.Id)
            except LOST as error:
                log.info("what %s publishes: %s", container.name, error)
        with self._lock:
            self._asked = dict(found)
        return found

    def _ask(self, container: str) -> InspectedContainer:
        asked = get_json(
            self._dial, f"/containers/{quote(container, safe='')}/json", InspectedContainer
        )
        with self._lock:
            self._asked[asked.Id] = asked
        return asked

    def _ended(self, asked: InspectedContainer) -> None:
        """Remove a `--rm` container that does not start, as dockerd does: `docker run` waits."""
        if not asked.HostConfig.AutoRemove:
            return
        try:
            delete(self._dial, f"/containers/{asked.Id}?v=1")
        except LOST as error:  # it runs, for one, and was to start again
            log.info("%s is not removed: %s", asked.Id, error)

    def _done(self, forwards: list[Forward]) -> None:
        self._look()
        self._ports.release(forwards)
        if set(forwards) - {port.forward for port in self._ports.ports}:
            self._look()  # it does not run: close them now, for no event follows
