"""The process behind `--backend fake`: writes the console of a boot, answers on a loopback port.

Run as `python -m vm.backends.fake_machine SCRIPT CONSOLE PORT`. The script (`FakeScript`) has the
faults; the answers of its sockets are in `fake_answers.json`. Next: `fake.py`, which starts it and
talks to it.

Protocol: a client sends one JSON line `{"do": "run"|"dial"|"read"|"write", …}`; after "dial" the
connection is the socket, for the others one JSON line is the answer. "pause", "wake" and "state"
come from the backend; while the machine is paused all others wait.
"""

import json
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec

ANSWERS = Path(__file__).with_name("fake_answers.json")
AGENT_SOCKET = "/run/galley/keeper.sock"
AGENT_ANSWERS = {  # the guest agent's answers (`vm/guest/agent.py`), after "ok"
    "memory": "2147483648 1073741824 1610612736 402653184 268435456",
    "disk": "67049664512 3221225472 63000000000",
    "trim": "1073741824",
}
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFake"


class FakeScript(msgspec.Struct, frozen=True):
    """How a fake machine behaves. `stall`: the console line it never writes."""

    step_seconds: float = 0.02
    stall: str = ""  # "kernel", "disk", "hostkey", "sshd", "engine"
    die: str = ""  # the console line instead of which its process ends
    damaged: bool = False  # the data disk
    engine_fails: bool = False
    deaf: bool = False  # ignores every request to power off
    busy_ports: tuple[int, ...] = ()
    idle: bool = False  # no container runs in it


class FakeMachine(socketserver.ThreadingTCPServer):
    """A simulated machine: a listener on loopback. `files` are the guest's files."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, script: FakeScript) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.script = script
        self.engine_up = False
        self.awake = threading.Event()
        self.awake.set()
        self.files: dict[str, str] = {}
        self.answers: dict[str, Any] = json.loads(ANSWERS.read_text())
        if script.idle:
            for container in self.answers["/run/docker.sock"]["/containers/json"]:
                container |= {"State": "exited", "Status": "Exited (0) a minute ago", "Ports": []}

    def boot(self, console: Path) -> None:
        """Write the console lines of a boot, one for each step."""
        script = self.script
        disk = "disk damaged fake block group 7" if script.damaged else "disk ok"
        last = "failed dockerd: fake failure" if script.engine_fails else "engine"
        lines = ["kernel", disk, f"hostkey {HOST_KEY}", "sshd", "containerd", last]
        never = threading.Event()
        for line in lines:
            never.wait(script.step_seconds)
            word = line.split()[0]
            if script.die == word:
                self.shutdown()
                return
            if script.stall == word:
                return
            with console.open("a") as file:
                file.write(f"galley: {line}\n")
            if line.startswith("disk damaged"):
                self.shutdown()
                return
            self.engine_up = self.engine_up or line == "engine"

    def power_off(self) -> None:
        if not self.script.deaf:
            threading.Thread(target=self.shutdown, daemon=True).start()


class _Connection(socketserver.StreamRequestHandler):
    server: FakeMachine

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline() or b"{}")
        if asked.get("do") in ("pause", "wake", "state"):
            self.wfile.write(json.dumps(self._set_state(asked["do"])).encode() + b"\n")
            return
        self.server.awake.wait()
        if asked.get("do") == "dial":
            self._serve_socket(asked["path"])
        elif asked:
            self.wfile.write(json.dumps(self._answer(asked)).encode() + b"\n")

    def _set_state(self, what: str) -> dict[str, Any]:
        awake = self.server.awake
        if what != "state":
            awake.set() if what == "wake" else awake.clear()
        return {"paused": not awake.is_set()}

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["do"] == "run":
            if asked["argv"][0] == "galley-poweroff":
                self.server.power_off()
            if asked["argv"][0] == "date":
                return {"code": 0, "out": f"{time.time():.0f}\n"}
            return {"code": 0, "out": " ".join(asked["argv"]) + "\n"}
        if asked["do"] == "write":
            self.server.files[asked["path"]] = asked["data"]
            return {}
        return {"data": self.server.files.get(asked["path"])}

    def _serve_socket(self, path: str) -> None:
        if path == AGENT_SOCKET:
            self.wfile.write(b"+")
            for line in self.rfile:
                word = line.decode().split()[0]
                self.wfile.write(f"ok {AGENT_ANSWERS.get(word, '')}".strip().encode() + b"\n")
            return
        answers = self.server.answers.get(path)
        if answers is None or not self.server.engine_up:
            self.wfile.write(b"-")
            return
        self.wfile.write(b"+")
        _Http(self.request, answers, self.server)


class _Http(BaseHTTPRequestHandler):
    """Answers from the data file, with 404 for all else, and keeps `/events` open."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Docker/0.0-fake", "(fake)"

    def __init__(self, request: Any, answers: dict[str, Any], server: FakeMachine) -> None:
        self._answers = answers
        self._awake = server.awake
        super().__init__(request, ("fake", 0), server)

    def do_GET(self) -> None:
        self._awake.wait()
        path = self.path.partition("?")[0]
        parts = path.split("/", 2)
        if len(parts) == 3 and parts[1].startswith("v1."):
            path = "/" + parts[2]
        if path == "/events":
            self.send_response(200)
            self.send_header("Api-Version", "1.45")
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.rfile.read(1)
            self.close_connection = True
            return
        known = path in self._answers
        answer: Any = self._answers[path] if known else {"message": f"the fake has no {path}"}
        if path == "/containers/json" and "all=" not in self.path:
            answer = [one for one in answer if one["State"] in ("running", "paused")]
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("Api-Version", "1.45")
        kind = "text/plain" if isinstance(answer, str) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """A fake has no access log."""


def main(script_path: str, console: str, port: str) -> None:
    """Read the script, listen, boot in a thread, and end when powered off."""
    path = Path(script_path)
    script = FakeScript()
    if path.exists():
        script = msgspec.json.decode(path.read_bytes(), type=FakeScript)
    with FakeMachine(int(port), script) as machine:
        threading.Thread(target=machine.boot, args=(Path(console),), daemon=True).start()
        machine.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
