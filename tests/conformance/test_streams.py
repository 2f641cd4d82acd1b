"""Attach, exec, logs and copies: streams between a client and a container.

Next: `engine/bridge/pump.py`, which copies them.
"""

import io
import socket
import struct
import tarfile
from typing import Any

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both

MUCH = 300_000  # bytes: more than any buffer between client and container


def _hijack(engine: Engine, path: str, body: bytes = b"") -> tuple[str, socket.socket]:
    """Upgrades a connection to a stream; returns the status line and the stream."""
    stream = engine.dial()
    head = (
        f"POST /v1.45{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    stream.sendall(head.encode() + body)
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        piece = stream.recv(1)
        assert piece, f"{path} on {engine.name}: {response!r}"
        response += piece
    return response.decode().splitlines()[0], stream


def _drain(stream: socket.socket) -> bytes:
    """Everything that is received until the other side closes."""
    with stream:
        return b"".join(iter(lambda: stream.recv(65536), b""))


def _frames(stream: bytes) -> dict[str, str]:
    """Demultiplexes stdout and stderr of a container without a terminal."""
    found = {1: b"", 2: b""}
    while stream:
        kind, size = struct.unpack(">BxxxL", stream[:8])
        found[kind] += stream[8 : 8 + size]
        stream = stream[8 + size :]
    return {"out": found[1].decode(), "err": found[2].decode()}


@on_both
def test_attach(engine: Engine, answer: Answers) -> None:
    script = (
        "echo begins; echo err >&2; while read line; do echo got $line; done; echo ends; exit 9"
    )
    engine.create("read", "sh", "-c", script, OpenStdin=True, StdinOnce=True, AttachStdin=True)
    status, stream = _hijack(engine, "/containers/read/attach?stream=1&stdin=1&stdout=1&stderr=1")
    answer("status", status)
    engine.request("POST", "/containers/read/start")
    stream.sendall(b"one\ntwo\n")
    stream.shutdown(socket.SHUT_WR)
    answer("output", _frames(_drain(stream)))
    answer("code", engine.wait("read"))
    _, stream = _hijack(engine, "/containers/read/attach?logs=1&stdout=1&stderr=1")
    answer("logs by attach", _frames(_drain(stream)))
    engine.create("tty", "sh", "-c", "stty size; read a; echo got $a", OpenStdin=True, Tty=True)
    status, stream = _hijack(engine, "/containers/tty/attach?stream=1&stdin=1&stdout=1")
    answer("tty status", status)
    engine.request("POST", "/containers/tty/start")
    answer("resize", engine.request("POST", "/containers/tty/resize?h=33&w=77").verdict)
    stream.sendall(b"typed\n")
    output = _drain(stream).decode()
    answer("tty output", [line for line in output.splitlines() if "got" in line or line == "typed"])
    answer("not running", engine.docker("attach tty").all)
    answer("bad resize", engine.request("POST", "/containers/tty/resize?h=x&w=1").verdict)


@on_both
def test_the_command_line_attached(engine: Engine, answer: Answers) -> None:
    answer("stdin", engine.docker("run -i --rm", IMAGE, "cat", stdin="text").all)
    count = engine.docker("run -i --rm", IMAGE, "wc", "-c", stdin=b"x" * MUCH)
    answer("much in", count.all)
    much = engine.docker("run --rm", IMAGE, "head", "-c", str(MUCH), "/dev/zero")
    answer("much out", {"code": much.code, "size": len(much.out), "err": much.err})
    answer("no terminal", engine.docker("run -it --rm", IMAGE, "true").all)
    engine.create("later", "sh", "-c", "cat; exit 6", OpenStdin=True, StdinOnce=True)
    answer("start -ai", engine.docker("start -ai later", stdin="in").all)
    engine.docker("run -d --name back", IMAGE, "sh", "-c", "sleep 1000", ok=True)
    answer("wait", engine.docker("kill back").all)
    answer("wait for it", engine.docker("wait back").all)


@on_both
def test_exec(engine: Engine, answer: Answers) -> None:
    engine.start("runs")

    def make(**config: Any) -> str:
        return str(engine.request("POST", "/containers/runs/exec", config).json["Id"])

    streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    made = make(Cmd=["sh", "-c", "cat; echo err >&2; exit 8"], **streams)
    answer("before", engine.request("GET", f"/exec/{made}/json").json)
    status, stream = _hijack(engine, f"/exec/{made}/start", b'{"Detach": false, "Tty": false}')
    answer("status", status)
    stream.sendall(b"in\n")
    stream.shutdown(socket.SHUT_WR)
    answer("output", _frames(_drain(stream)))
    after = engine.eventually(
        lambda: engine.request("GET", f"/exec/{made}/json").json, lambda found: not found["Running"]
    )
    answer.fields("after", after, "ExitCode", "Running", "ProcessConfig")
    answer("again", engine.request("POST", f"/exec/{made}/start", {}).verdict)
    terminal = make(Cmd=["sh", "-c", "[ -t 1 ] && echo terminal"], Tty=True, **streams)
    _, stream = _hijack(engine, f"/exec/{terminal}/start", b'{"Tty": true}')
    answer("terminal", _drain(stream).decode())
    detached = make(Cmd=["touch", "/tmp/done"])
    answer("detached", engine.request("POST", f"/exec/{detached}/start", {"Detach": True}).verdict)
    for name, options in {
        "options": ("-u", "nobody", "-w", "/etc", "-e", "A=b", "runs", "sh", "-c", "id; pwd; env"),
        "privileged": ("--privileged", "runs", "grep", "CapEff", "/proc/self/status"),
        "not found": ("runs", "nowhere"),
        "no folder": ("-w", "/nowhere", "runs", "true"),
        "no user": ("-u", "gone", "runs", "true"),
        "code": ("runs", "sh", "-c", "exit 77"),
    }.items():
        answer(name, engine.docker("exec", *options).all)
    answer("stdin", engine.docker("exec -i runs wc -c", stdin=b"x" * MUCH).all)
    answer("empty", engine.request("POST", "/containers/runs/exec", {"Cmd": []}).verdict)
    engine.docker("pause runs", ok=True)
    answer("paused", engine.docker("exec runs true").all)
    engine.docker("unpause runs", ok=True)
    engine.docker("kill runs", ok=True)
    answer("stopped", engine.docker("exec runs true").all)


@on_both
def test_logs(engine: Engine, answer: Answers) -> None:
    script = "for i in 1 2 3 4 5; do echo out $i; done; head -c 40000 /dev/zero | tr '\\0' x"
    engine.start("said", "sh", "-c", script)
    engine.wait("said")
    engine.start("both", "sh", "-c", "echo out; echo err >&2")
    engine.wait("both")
    for stream in ("stdout", "stderr"):
        only = engine.request("GET", f"/containers/both/logs?{stream}=1")
        answer(f"only {stream}", _frames(only.body))
    for options in (
        ("-n", "2"), ("-n", "0"), ("--tail", "all"), ("-f",),
        ("--since", "10m"), ("--until", "10m"),
        ("-t", "-n", "2"), ("--details", "-n", "1"), ("--tail", "odd"), ("--since", "odd"),
    ):  # fmt: skip
        answer(" ".join(options), engine.docker("logs", *options, "said").all)
    for asked in ("stdout=1", "stderr=1", "", "stdout=1&tail=1", "stdout=1&until=1"):
        reply = engine.request("GET", f"/containers/said/logs?{asked}")
        kind = reply.headers.get("content-type")
        answer(asked, {"status": reply.status, "type": kind, "size": len(reply.body)})
    answer("SDK", engine.sdk.containers.get("said").logs(stderr=False, tail=2))
    follow = engine.sdk.containers.run(
        IMAGE, ["sh", "-c", "echo a; echo b"], detach=True, name="now"
    )
    answer("SDK follow", b"".join(follow.logs(stream=True, follow=True)))
    answer("file", bool(engine.inspect("said")["LogPath"]))


@on_both
def test_log_drivers(engine: Engine, answer: Answers) -> None:
    for number, (driver, options) in enumerate((
        ("json-file", {"max-size": "4k", "max-file": "2", "labels": "a", "env": "B"}),
        ("local", {}),
        ("none", {}),
        ("", {}),
    )):  # fmt: skip
        name = f"{number} {driver}"
        host = {"LogConfig": {"Type": driver, "Config": options}}
        script = "for i in $(seq 200); do echo this is line number $i; done"
        engine.start(
            f"d{number}", "sh", "-c", script, HostConfig=host, Labels={"a": "1"}, Env=["B=2"]
        )
        engine.wait(f"d{number}")
        answer(f"{name}: config", engine.inspect(f"d{number}")["HostConfig"]["LogConfig"])
        answer(f"{name}: last", engine.docker("logs --details -n 1", f"d{number}").all)
        logs = engine.docker("logs", f"d{number}").out.splitlines()
        answer(f"{name}: lines", len(logs))


@on_both
def test_copies(engine: Engine, answer: Answers) -> None:
    folder = engine.folder("copies")
    (folder / "tree" / "below").mkdir(parents=True)
    (folder / "tree" / "file").write_text("of the host")
    (folder / "tree" / "below" / "link").symlink_to("../file")
    (folder / "tree" / "file").chmod(0o640)
    engine.start("box")
    look = "cd /tmp; find . | sort; ls -ln tree/file; cat tree/file; readlink tree/below/link"
    for name, words in {
        "a folder in": (f"{folder}/tree", "box:/tmp"),
        "its content in": (f"{folder}/tree/.", "box:/tmp/tree2"),
        "a file in": (f"{folder}/tree/file", "box:/tmp/named"),
        "into nothing": (f"{folder}/tree/file", "box:/nowhere/x"),
        "a folder on a file": (f"{folder}/tree", "box:/etc/passwd"),
        "nothing in": (f"{folder}/gone", "box:/tmp"),
        "a folder out": ("box:/tmp/tree", f"{folder}/out"),
        "a file out": ("box:/etc/passwd", f"{folder}/passwd"),
        "nothing out": ("box:/gone", str(folder)),
        "gone": ("gone:/x", str(folder)),
        "between two": ("box:/etc/passwd", "box:/tmp/x"),
    }.items():
        answer(name, engine.docker("cp", *words).all)
    answer("inside", engine.shell("box", look).all)
    answer("outside", sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))
    answer("mode", oct((folder / "out" / "file").stat().st_mode))
    answer("to stdout", len(engine.docker("cp box:/etc/group -").out))
    for path in ("/etc/passwd", "/etc", "/bin/sh", "/gone"):
        head = engine.request("HEAD", f"/containers/box/archive?path={path}")
        answer(
            f"stat {path}",
            {"status": head.status, "has": "x-docker-container-path-stat" in head.headers},
        )
    archive = engine.request("GET", "/containers/box/archive?path=/etc")
    with tarfile.open(fileobj=io.BytesIO(archive.body)) as tar:
        of_the_image = [tar.getmember(f"etc/{name}") for name in ("passwd", "group")]
        answer("archive", [(file.mode, file.uid, file.size) for file in of_the_image])
    put = "/containers/box/archive?path=/tmp"
    answer("no tar", engine.request("PUT", put, b"nonsense").verdict)
    answer("no folder", engine.request("PUT", "/containers/box/archive?path=/gone", b"").verdict)
    answer("no path", engine.request("GET", "/containers/box/archive").verdict)
    exported = engine.request("GET", "/containers/box/export").body
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        answer("export", sorted(name for name in tar.getnames() if not name.startswith("bin/")))
