"""What an engine tells of what happens in it.

Next: `engine/lifecycle/dockerd_watch.py`.
"""

import json
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both

LAST = "last-of-all"  # a volume whose event ends the listening


class Ear(threading.Thread):
    """Hears events from its start until `LAST`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(daemon=True)
        self.heard: list[dict[str, Any]] = []
        # dockerd answers before it listens: without a time, the first event may be missed.
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
            self.heard.append(event)
        self._answer.close()
        self._connection.close()

    def wait_for(self, action: str) -> None:
        self._engine.eventually(
            lambda: [event["Action"] for event in self.heard], lambda heard: action in heard
        )

    def end(self) -> list[dict[str, Any]]:
        self._engine.request("POST", "/volumes/create", {"Name": LAST})
        self.join(30)
        assert not self.is_alive(), f"events do not end on {self._engine.name}"
        self._engine.request("DELETE", f"/volumes/{LAST}")
        return self.heard


def _hear(
    engine: Engine, answer: Answers, name: str, do: Callable[[], object], last: str = ""
) -> None:
    """Each event is an answer; then how many there are. `last`: the one that may come later."""
    ear = Ear(engine)
    do()
    if last:
        ear.wait_for(last)
    heard = ear.end()
    for number, event in enumerate(heard):
        answer(f"{name}: {number} {event['Type']} {event['Action'].partition(':')[0]}", event)
    answer(f"{name}: how many", len(heard))


@on_both
def test_a_container(engine: Engine, answer: Answers) -> None:
    request = engine.request

    labels = {"own": "label"}
    _hear(engine, answer, "create", lambda: engine.create("heard", Labels=labels))
    _hear(engine, answer, "start", lambda: request("POST", "/containers/heard/start"))
    _hear(engine, answer, "pause", lambda: request("POST", "/containers/heard/pause"))
    _hear(engine, answer, "unpause", lambda: request("POST", "/containers/heard/unpause"))
    _hear(engine, answer, "rename", lambda: request("POST", "/containers/heard/rename?name=b"))
    request("POST", "/containers/b/rename?name=heard")
    _hear(
        engine,
        answer,
        "update",
        lambda: request("POST", "/containers/heard/update", {"PidsLimit": 9}),
    )
    _hear(engine, answer, "resize", lambda: request("POST", "/containers/heard/resize?h=9&w=9"))
    _hear(engine, answer, "top", lambda: request("GET", "/containers/heard/top"))
    _hear(engine, answer, "copy", lambda: request("GET", "/containers/heard/archive?path=/etc"))
    _hear(engine, answer, "commit", lambda: request("POST", "/commit?container=heard&repo=made"))
    _hear(engine, answer, "export", lambda: request("GET", "/containers/heard/export"))
    _hear(engine, answer, "kill", lambda: request("POST", "/containers/heard/kill"), "die")
    _hear(engine, answer, "remove", lambda: request("DELETE", "/containers/heard?v=1"))


@on_both
def test_how_it_ends(engine: Engine, answer: Answers) -> None:
    """Without "oom": with cgroups of version 2, dockerd may get it before or after the exit, or not
    at all (containerd's issue 8180)."""

    def events(name: str, *wanted: str) -> None:
        since = engine.request("GET", "/info").json["SystemTime"]
        ear = Ear(engine)
        done = engine.docker("run --name", name, *wanted)
        engine.docker("rm -f", name)
        heard = [event for event in ear.end() if event["Type"] == "container"]
        heard = [event for event in heard if event["Action"] != "oom"]
        answer(f"{name}: actions", [event["Action"] for event in heard])
        answer(f"{name}: code", done.code)
        codes = [event["Actor"]["Attributes"].get("exitCode") for event in heard]
        answer(f"{name}: exit code", [code for code in codes if code])
        until = engine.request("GET", "/info").json["SystemTime"]
        past = ("events", "--since", since, "--until", until, "-f", f"container={name}")
        again = engine.docker(*past, "--format", "{{.Action}}")
        lines = [line for line in again.out.splitlines() if line != "oom"]
        answer(f"{name}: events of the past", (again.code, lines, again.err))

    events("well", IMAGE, "true")
    events("badly", IMAGE, "sh", "-c", "exit 3")
    events("nowhere", IMAGE, "nowhere")
    events("oom", "-m", "16m", "--memory-swap", "16m", IMAGE, "tail", "/dev/zero")


@on_both
def test_exec_and_health(engine: Engine, answer: Answers) -> None:
    engine.start("runs")
    _hear(engine, answer, "exec", lambda: engine.docker("exec runs true"), "exec_die")
    check = {"Test": ["CMD", "true"], "Interval": 10**8, "Timeout": 10**10}
    ear = Ear(engine)
    engine.start("sick", Healthcheck=check)
    ear.wait_for("health_status: healthy")
    actions = [event["Action"] for event in ear.end()]
    answer("health", [action for action in actions if action.startswith("health")])
    answer("checks", "exec_create: true" in actions and "exec_die" in actions)


@on_both
def test_networks_volumes_and_images(engine: Engine, answer: Answers) -> None:
    request = engine.request
    _hear(engine, answer, "network", lambda: request("POST", "/networks/create", {"Name": "net"}))
    engine.start("member")
    member = {"Container": "member"}
    _hear(engine, answer, "connect", lambda: request("POST", "/networks/net/connect", member))
    _hear(engine, answer, "disconnect", lambda: request("POST", "/networks/net/disconnect", member))
    _hear(engine, answer, "remove network", lambda: request("DELETE", "/networks/net"))
    _hear(engine, answer, "prune networks", lambda: request("POST", "/networks/prune"))
    _hear(engine, answer, "volume", lambda: request("POST", "/volumes/create", {"Name": "vol"}))
    mounted = {"HostConfig": {"Binds": ["vol:/in:ro"]}}
    _hear(engine, answer, "mount", lambda: engine.start("mounts", **mounted))
    request("DELETE", "/containers/mounts?force=1")
    _hear(engine, answer, "remove volume", lambda: request("DELETE", "/volumes/vol"))
    _hear(engine, answer, "prune volumes", lambda: request("POST", "/volumes/prune"))
    _hear(engine, answer, "tag", lambda: request("POST", f"/images/{IMAGE}/tag?repo=other"))
    _hear(engine, answer, "save", lambda: request("GET", "/images/other/get"))
    _hear(engine, answer, "untag", lambda: request("DELETE", "/images/other"))
    _hear(engine, answer, "prune images", lambda: request("POST", "/images/prune"))
