"""Watches dockerd's health and its running containers, by one open `GET /events`, without polling.

While the stream is open dockerd is healthy; when it ends, `on_health` is called, and the watch
reconnects, at most once a second. Events of containers, of running containers' networks and of
swarm services cause a new list of the running containers, as `look` does; many events at once cause
one list.
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
KNOCK = 1.0  # seconds between two attempts while dockerd is down
LOOK = 10.0  # seconds that `look` waits; with sshd just starting a list may take some
LOST = (GalleyError, HttpError, OSError)

Dial = Callable[[], Stream]
OnHealth = Callable[[EngineHealth], None]
OnContainers = Callable[[list[Container]], None]


class EngineWatch:
    """Two threads, from `begin` to `end`: one reads events, one lists containers. `health`: as last
    observed."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self.health = EngineHealth(False)
        self._on_health: OnHealth = lambda health: None
        self._on_containers: OnContainers = lambda containers: None
        self._ended = threading.Event()
        self._looks = threading.Condition(threading.RLock())
        self._looks_requested = 0
        self._looks_done = 0  # the requested ones, up to this number, are done
        self._running: frozenset[str] = frozenset()  # containers, as last listed
        self._started: set[str] = set()  # containers, by the events of this stream
        self._stream: Stream | None = None
        self._threads: list[threading.Thread] = []

    def begin(self, on_health: OnHealth, on_containers: OnContainers) -> None:
        """Start watching; idempotent. `on_health` is called with every observation of dockerd's
        health, also an unchanged one; `on_containers` with all running containers."""
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
        """Stop watching, and report that dockerd is gone."""
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
            self._set_health(EngineHealth(False))

    def look(self) -> None:
        """List the running containers, and return when `on_containers` has returned."""
        with self._looks:
            mine = self._request_look()
            self._looks.wait_for(lambda: self._looks_done >= mine or not self._threads, LOOK)

    def settle(self, wait: Callable[[], None]) -> None:
        """Return when every look requested so far is done, or has failed. `wait` is called
        repeatedly meanwhile."""
        with self._looks:
            requested = self._looks_requested
        while self._looks_done < requested and self._threads:
            wait()

    def _request_look(self) -> int:
        with self._looks:
            self._looks_requested += 1
            self._looks.notify_all()
            return self._looks_requested

    def _follow(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(*LOST):
                self._follow_once()
            if not self._ended.is_set():
                self._set_health(EngineHealth(False))
                self._ended.wait(KNOCK)

    def _follow_once(self) -> None:
        self._stream = stream = self._dial()
        self._started.clear()
        try:
            for event in stream_json(stream, EVENTS, on_open=self._healthy):
                if self._needs_look(event):
                    self._wait_until_listed(event)
                    self._request_look()
        finally:
            self._stream = None
            stream.close()

    def _needs_look(self, event: Any) -> bool:
        """Whether the list may have changed: dockerd's filter passes any action of any type. A
        container that is not running is skipped here, since it joins its networks as it starts and
        leaves them as it ends, which has an event of its own."""
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

    def _wait_until_listed(self, event: Any) -> None:
        """dockerd sends the event of a pause or of a network before its list shows the change; a
        request for the container itself blocks until then."""
        match event:
            case {"Action": "pause" | "unpause", "id": str(container)} | {
                "Type": "network",
                "Actor": {"Attributes": {"container": str(container)}},
            }:
                with contextlib.suppress(*LOST):
                    get(self._dial, f"/containers/{container}/json")

    def _healthy(self, head: Head) -> None:
        """Reads the versions from the headers: for `GET /version` dockerd would run two
        programs."""
        product = head.headers.get("server", "").partition(" ")[0]
        version = product.partition("/")[2]
        self._request_look()  # first, so that `settle` waits for it once the health is known
        self._set_health(EngineHealth(True, version, head.headers.get("api-version", "")))

    def _set_health(self, health: EngineHealth) -> None:
        self.health = health
        self._on_health(health)

    def _look_at_containers(self) -> None:
        while True:
            with self._looks:
                self._looks.wait_for(self._has_to_look)
                requested = self._looks_requested
            if self._ended.is_set():
                return
            try:
                containers = get_json(self._dial, CONTAINERS, list[Container])
                self._running = frozenset(container.Id for container in containers)
                self._on_containers(containers)
            except LOST as error:
                log.info("cannot list containers: %s", error)
            with self._looks:
                self._looks_done = requested
                self._looks.notify_all()

    def _has_to_look(self) -> bool:
        return self._looks_requested > self._looks_done or self._ended.is_set()
