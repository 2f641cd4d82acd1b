"""A container that is about to start: its folders are there, its ports are opened, or it does not.

`engine/admission/admission.py` calls `Starts.about_to` for every start and restart, which goes on
only then; what it returns is called with dockerd's answer in hand, before the client sees it. So a
port that is taken is dockerd's refusal, as on a computer of its own, and one that was published is
open when `docker run` returns. Ports that dockerd chooses are known only afterwards: it is kept
from those that are taken here (`engine/ports/reserved_ports.py`), `settle` opens the others, and
the bridge waits for it before it passes on an event that says "start". A folder that is no longer
shared is refused here too, for dockerd makes an empty one at every start. `about_to_serve` opens
the ports of a service in the same way, which dockerd would not refuse. Next:
`engine/ports/published_spec.py`, `engine/ports/services.py`, `engine/shares/shared_folders.py`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterable
from urllib.parse import quote

from engine.dockerapi.http import Dial, HttpError, delete, get_json
from engine.ports.published import PublishedPorts
from engine.ports.published_spec import Asked, Container, Default, fixed_forwards
from engine.ports.reserved_ports import AvoidedPorts
from engine.ports.services import Services, ServiceSpec
from vm.errors import GalleyError, PortInUse
from vm.types import Forward

log = logging.getLogger(__name__)

LOST = (GalleyError, HttpError, OSError)


class Starts:
    """`dial_ports`: to the guest's holder of ports; `default`: the addresses for ports without one;
    `services`: those of a swarm; `look`: see
    which containers run, and wait until the ports are as they want
    (`EngineWatch.look`); `must_share`: raises NotShared for paths in the guest that are none of
    this host's. Any thread."""

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
        self._avoided = AvoidedPorts(dial_ports, ports.held)
        self._default = default
        self._services = services
        self._look = look
        self._must_share = must_share
        self._lock = threading.Lock()
        self._asked: dict[str, Asked] = {}

    def about_to(self, container: str) -> Callable[[], None] | None:
        """What is to be called when dockerd has answered, if anything. Raises NotShared,
        PortInUse, BackendFailed."""
        try:
            asked = self._ask(container)
        except LOST as error:
            log.info("a start of %s: %s", container, error)  # dockerd will say what is wrong
            return None
        try:
            self._must_share(asked.folders, asked.made)
            return self._open(asked) if asked.publishes else None
        except GalleyError:
            self._ended(asked)
            raise

    def _open(self, asked: Asked) -> Callable[[], None]:
        default = self._default()
        reserved = self._reserve(asked.name, fixed_forwards(asked, default))
        with contextlib.ExitStack() as held:  # let go of in reverse, also where the rest fails
            held.callback(self._done, reserved)
            held.callback(self._avoided.hold(asked, default))
            return held.pop_all().close

    def about_to_serve(self, spec: ServiceSpec) -> Callable[[], None] | None:
        """The same for a service that is to be created or updated. Raises PortInUse,
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

    def asked(self, containers: Iterable[Container]) -> dict[str, Asked]:
        """What each of them, which are all that run, was asked to publish; by id."""
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

    def _ask(self, container: str) -> Asked:
        asked = get_json(self._dial, f"/containers/{quote(container, safe='')}/json", Asked)
        with self._lock:
            self._asked[asked.Id] = asked
        return asked

    def _ended(self, asked: Asked) -> None:
        """It does not start, which `docker run --rm` waits for: dockerd would remove it now."""
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
            self._look()  # it does not run, and nobody else will come by to close them
