"""The event stream of an engine.

Next: `engine/lifecycle/dockerd_watch.py`.
"""

import json
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both

LAST = "last-of-all"  # a volume whose event ends the stream


class EventListener(threading.Thread):
    """Collects events from its start until `LAST`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(daemon=True)
        self.events: list[dict[str, Any]] = []
        # dockerd answers before it subscribes: without `since`, the first event may be lost.
        now = datetime.fromisoformat(engine.request("GET", "/info").json["SystemTime"]).timestamp()
        self._connection = engine.connection()
        self._connection.request("GET", f"/v1.45/events?since={now:.6f}")
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.read()
        self._engine = engine
        self.start()

    def run(self) -> None:
        while line := self._answer.readline():
            event = json.loads(line)
            if event["Actor"]["ID"] == LAST:
                break
            self.events.append(event)
        self._answer.close()
        self._connection.close()

    def wait_for(self, action: str) -> None:
        self._engine.eventually(
            lambda: [event["Action"] for event in self.events], lambda events: action in events
        )

    def end(self) -> list[dict[str, Any]]:
        self._engine.request("POST", "/volumes/create", {"Name": LAST})
        self.join(30)
        assert not self.is_alive(), f"events do not end on {self._engine.name}"
        self._engine.request("DELETE", f"/volumes/{LAST}")
        return self.events


def _compare_events(
    engine: Engine, answer: Answers, name: str, do: Callable[[], object], last: str = ""
) -> None:
    """Each event is an answer, and their number. `last`: an event that may arrive late."""
    listener = EventListener(engine)
    do()
    if last:
        listener.wait_for(last)
    events = listener.end()
    for number, event in enumerate(events):
        answer(f"{name}: {number} {event['Type']} {event['Action'].partition(':')[0]}", event)
    answer(f"{name}: how many", len(events))


@on_both
def test_events_of_a_container(engine: Engine, answer: Answers) -> None:
    request = engine.request

    labels = {"own": "label"}
    _compare_events(engine, answer, "create", lambda: engine.create("heard", Labels=labels))
    _compare_events(engine, answer, "start", lambda: request("POST", "/containers/heard/start"))
    _compare_events(engine, answer, "pause", lambda: request("POST", "/containers/heard/pause"))
    _compare_events(engine, answer, "unpause", lambda: request("POST", "/containers/heard/unpause"))
    _compare_events(
        engine, answer, "rename", lambda: request("POST", "/containers/heard/rename?name=b")
    )
    request("POST", "/containers/b/rename?name=heard")
    _compare_events(
        engine,
        answer,
        "update",
        lambda: request("POST", "/containers/heard/update", {"PidsLimit": 9}),
    )
    _compare_events(
        engine, answer, "resize", lambda: request("POST", "/containers/heard/resize?h=9&w=9")
    )
    _compare_events(engine, answer, "top", lambda: request("GET", "/containers/heard/top"))
    _compare_events(
        engine, answer, "copy", lambda: request("GET", "/containers/heard/archive?path=/etc")
    )
    _compare_events(
        engine, answer, "commit", lambda: request("POST", "/commit?container=heard&repo=made")
    )
    _compare_events(engine, answer, "export", lambda: request("GET", "/containers/heard/export"))
    _compare_events(
        engine, answer, "kill", lambda: request("POST", "/containers/heard/kill"), "die"
    )
    _compare_events(engine, answer, "remove", lambda: request("DELETE", "/containers/heard?v=1"))


@on_both
def test_events_of_a_containers_exit(engine: Engine, answer: Answers) -> None:
    """Without "oom": with cgroups of version 2, dockerd may get it before or after the exit, or
    never (containerd issue 8180)."""

    def compare_run(name: str, *wanted: str) -> None:
        since = engine.request("GET", "/info").json["SystemTime"]
        listener = EventListener(engine)
        done = engine.docker("run --name", name, *wanted)
        engine.docker("rm -f", name)
        events = [event for event in listener.end() if event["Type"] == "container"]
        events = [event for event in events if event["Action"] != "oom"]
        answer(f"{name}: actions", [event["Action"] for event in events])
        answer(f"{name}: code", done.code)
        codes = [event["Actor"]["Attributes"].get("exitCode") for event in events]
        answer(f"{name}: exit code", [code for code in codes if code])
        until = engine.request("GET", "/info").json["SystemTime"]
        past = ("events", "--since", since, "--until", until, "-f", f"container={name}")
        again = engine.docker(*past, "--format", "{{.Action}}")
        lines = [line for line in again.out.splitlines() if line != "oom"]
        answer(f"{name}: events of the past", (again.code, lines, again.err))

    compare_run("well", IMAGE, "true")
    compare_run("badly", IMAGE, "sh", "-c", "exit 3")
    compare_run("nowhere", IMAGE, "nowhere")
    compare_run("oom", "-m", "16m", "--memory-swap", "16m", IMAGE, "tail", "/dev/zero")


@on_both
def test_events_of_exec_and_health_checks(engine: Engine, answer: Answers) -> None:
    engine.start("runs")
    _compare_events(engine, answer, "exec", lambda: engine.docker("exec runs true"), "exec_die")
    check = {"Test": ["CMD", "true"], "Interval": 10**8, "Timeout": 10**10}
    listener = EventListener(engine)
    engine.start("sick", Healthcheck=check)
    listener.wait_for("health_status: healthy")
    actions = [event["Action"] for event in listener.end()]
    answer("health", [action for action in actions if action.startswith("health")])
    answer("checks", "exec_create: true" in actions and "exec_die" in actions)


@on_both
def test_events_of_networks_volumes_and_images(engine: Engine, answer: Answers) -> None:
    request = engine.request
    _compare_events(
        engine, answer, "network", lambda: request("POST", "/networks/create", {"Name": "net"})
    )
    engine.start("member")
    member = {"Container": "member"}
    _compare_events(
        engine, answer, "connect", lambda: request("POST", "/networks/net/connect", member)
    )
    _compare_events(
        engine, answer, "disconnect", lambda: request("POST", "/networks/net/disconnect", member)
    )
    _compare_events(engine, answer, "remove network", lambda: request("DELETE", "/networks/net"))
    _compare_events(engine, answer, "prune networks", lambda: request("POST", "/networks/prune"))
    _compare_events(
        engine, answer, "volume", lambda: request("POST", "/volumes/create", {"Name": "vol"})
    )
    mounted = {"HostConfig": {"Binds": ["vol:/in:ro"]}}
    _compare_events(engine, answer, "mount", lambda: engine.start("mounts", **mounted))
    request("DELETE", "/containers/mounts?force=1")
    _compare_events(engine, answer, "remove volume", lambda: request("DELETE", "/volumes/vol"))
    _compare_events(engine, answer, "prune volumes", lambda: request("POST", "/volumes/prune"))
    _compare_events(
        engine, answer, "tag", lambda: request("POST", f"/images/{IMAGE}/tag?repo=other")
    )
    _compare_events(engine, answer, "save", lambda: request("GET", "/images/other/get"))
    _compare_events(engine, answer, "untag", lambda: request("DELETE", "/images/other"))
    _compare_events(engine, answer, "prune images", lambda: request("POST", "/images/prune"))
