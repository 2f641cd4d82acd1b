"""Keeps an eye on dockerd, without polling: one open `GET /events`, and what follows from it.

While the stream is open dockerd is healthy; when it ends, `on_health` says so and the watch knocks
(`GET /_ping`, at most once a second) until it answers again. Container events ask for the ports to
be looked at, as `look` does, and so do networks of running containers and services of a swarm; many
at once are answered by one look.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from engine.dockerapi.http import Head, HttpError, get, get_json, stream_json
from engine.ports.published_spec import Container
from engine.types import EngineHealth
from vm.errors import GalleyError
from vm.guest.protocol import Stream

log = logging.getLogger(__name__)

CONTAINERS = "/containers/json"
OF_CONTAINERS = ("start", "die", "rename", "pause", "unpause")
OF_NETWORKS = ("connect", "disconnect")
OF_SERVICES = ("create", "update", "remove")
FILTERS = {
    "type": ["container", "network", "service"],
    "event": [*OF_CONTAINERS, *OF_NETWORKS, *OF_SERVICES],
}
EVENTS = f"/events?filters={msgspec.json.encode(FILTERS).decode()}"
KNOCK = 1.0  # seconds between two tries while dockerd is down
LOOK = 10.0  # seconds that somebody waits for a look; with sshd just starting it may take some
LOST = (GalleyError, HttpError, OSError)

Dial = Callable[[], Stream]
OnHealth = Callable[[EngineHealth], None]
OnContainers = Callable[[list[Container]], None]


class EngineWatch:
    """From `begin` to `end`, two threads: one reads events, one looks at containers. `health`: what
    was seen last."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self.health = EngineHealth(False)
        self._on_health: OnHealth = lambda health: None
        self._on_containers: OnContainers = lambda containers: None
        self._ended = threading.Event()
        self._looks = threading.Condition(threading.RLock())
        self._looks_asked = 0
        self._looks_had = 0  # every look asked for up to here has been had
        self._running: frozenset[str] = frozenset()  # containers, as last seen
        self._started: set[str] = set()  # containers, by the events of this stream
        self._stream: Stream | None = None
        self._threads: list[threading.Thread] = []

    def begin(self, on_health: OnHealth, on_containers: OnContainers) -> None:
        """Start watching; doing it again while watching does nothing. `on_health` is called
        whenever dockerd is seen to answer or not, the same again included; `on_containers` with
        all that run."""
        if self._threads:
            return
        self._on_health, self._on_containers = on_health, on_containers
        self._ended.clear()
        self._threads = [
            threading.Thread(target=self._follow, name="engine-events", daemon=True),
            threading.Thread(target=self._look_at_containers, name="engine-ports", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop watching, and tell that the engine is gone."""
        threads, self._threads = self._threads, []
        self._ended.set()
        with self._looks:
            self._looks.notify_all()
        stream = self._stream
        if stream is not None:
            stream.close()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)
        if threads:
            self._see(EngineHealth(False))

    def look(self) -> None:
        """See which containers run, and return when `on_containers` has seen them too."""
        with self._looks:
            mine = self._ask()
            self._looks.wait_for(lambda: self._looks_had >= mine or not self._threads, LOOK)

    def settle(self, wait: Callable[[], None]) -> None:
        """Return when `on_containers` has been told of all that has been asked for so far, or
        dockerd could not be asked. `wait` is called again and again meanwhile."""
        with self._looks:
            asked = self._looks_asked
        while self._looks_had < asked and self._threads:
            wait()

    def _ask(self) -> int:
        with self._looks:
            self._looks_asked += 1
            self._looks.notify_all()
            return self._looks_asked

    def _follow(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(*LOST):
                self._follow_once()
            if not self._ended.is_set():
                self._see(EngineHealth(False))
                self._ended.wait(KNOCK)

    def _follow_once(self) -> None:
        self._stream = stream = self._dial()
        self._started.clear()
        try:
            for event in stream_json(stream, EVENTS, on_open=self._healthy):
                if self._matters(event):
                    self._let_settle(event)
                    self._ask()
        finally:
            self._stream = None
            stream.close()

    def _matters(self, event: Any) -> bool:
        """dockerd's filter lets any action of any type pass. And every container joins its networks
        as it starts, and leaves them as it ends; then an event of its own asks for the look."""
        match event:
            case {"Type": "network", "Actor": {"Attributes": {"container": str(container)}}}:
                return container in self._started or container in self._running
            case {"Type": "container", "Action": "start", "id": str(container)}:
                self._started.add(container)
            case {"Type": "container", "Action": "die", "id": str(container)}:
                self._started.discard(container)
        match event:
            case {"Type": "container", "Action": str(action)}:
                return action in OF_CONTAINERS
            case {"Type": "service"}:
                return True
        return False

    def _let_settle(self, event: Any) -> None:
        """dockerd tells of a pause, and of a network, before its list has it; about the container
        itself it says nothing until then."""
        match event:
            case {"Action": "pause" | "unpause", "id": str(container)} | {
                "Type": "network",
                "Actor": {"Attributes": {"container": str(container)}},
            }:
                with contextlib.suppress(*LOST):
                    get(self._dial, f"/containers/{container}/json")

    def _healthy(self, head: Head) -> None:
        """dockerd names its versions in every answer; asked for them, it runs two programs."""
        product = head.headers.get("server", "").partition(" ")[0]
        version = product.partition("/")[2]
        self._ask()  # first, so that who knows of the health can wait for it
        self._see(EngineHealth(True, version, head.headers.get("api-version", "")))

    def _see(self, health: EngineHealth) -> None:
        self.health = health
        self._on_health(health)

    def _look_at_containers(self) -> None:
        while True:
            with self._looks:
                self._looks.wait_for(self._has_to_look)
                asked = self._looks_asked
            if self._ended.is_set():
                return
            try:
                containers = get_json(self._dial, CONTAINERS, list[Container])
                self._running = frozenset(container.Id for container in containers)
                self._on_containers(containers)
            except LOST as error:
                log.info("cannot list containers: %s", error)
            with self._looks:
                self._looks_had = asked
                self._looks.notify_all()

    def _has_to_look(self) -> bool:
        return self._looks_asked > self._looks_had or self._ended.is_set()
