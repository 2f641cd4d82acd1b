"""A container's life cycle: its configuration, its state, and its exit.

Next: `test_limits.py`.
"""

from typing import Any

from docker.errors import APIError, ContainerError

from tests.conformance.engines import IMAGE, Engine, apart, together
from tests.conformance.suite import Answers, on_both

CONFIG: dict[str, Any] = {
    "Hostname": "one",
    "Domainname": "example.com",
    "User": "nobody:staff",
    "Env": ["A=1", "B=two words", "BASE=own", "GONE"],
    "Cmd": ["sh", "-c", "sleep 1000"],
    "Labels": {"own": "label", "base": "own"},
    "WorkingDir": "/made/here",
    "StopSignal": "SIGINT",
    "StopTimeout": 3,
    "Tty": True,
    "OpenStdin": True,
    "Shell": ["sh"],
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Volumes": {"/anonymous": {}},
}
HOST: dict[str, Any] = {
    "Memory": 64 << 20,
    "MemorySwap": 96 << 20,
    "MemoryReservation": 32 << 20,
    "NanoCpus": 500_000_000,
    "CpuShares": 512,
    "CpusetCpus": "0",
    "PidsLimit": 50,
    "OomScoreAdj": 300,
    "ShmSize": 8 << 20,
    "Init": True,
    "ReadonlyRootfs": True,
    "CapAdd": ["NET_ADMIN", "CAP_SYS_TIME"],
    "CapDrop": ["MKNOD", "AUDIT_WRITE"],
    "SecurityOpt": ["no-new-privileges"],
    "Dns": ["192.0.2.53"],
    "DnsSearch": ["example.com"],
    "DnsOptions": ["ndots:3"],
    "ExtraHosts": ["other:192.0.2.7"],
    "GroupAdd": ["1234", "staff"],
    "Tmpfs": {"/tmpfs": "size=1m,mode=1777"},
    "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "1000"},
    "Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 1024}],
    "RestartPolicy": {"Name": "unless-stopped"},
    "IpcMode": "shareable",
    "PidMode": "host",
    "CgroupnsMode": "private",
    "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}},
    "Devices": [
        {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"},
    ],
}  # fmt: skip
# Shell lines for a container with all of these options, and for one without options.
INSIDE = {
    "hostname": "hostname; hostname -f",
    "user": "id",
    "folder": "pwd; ls -ld /made/here",
    "environment": "env | sort | grep -v HOSTNAME",
    "read only": "touch /x; echo $?",
    "tmpfs": "mount | grep tmpfs | grep -e /tmpfs -e /shm | sort",
    "capabilities": "grep Cap /proc/self/status",
    "new privileges": "grep NoNewPrivs /proc/self/status",
    "seccomp": "grep Seccomp: /proc/self/status",
    "names": "grep -v '^#' /etc/resolv.conf; grep other /etc/hosts",
    "ulimit": "ulimit -n; ulimit -Hn",
    "sysctl": "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
    "oom score": "cat /proc/self/oom_score_adj",
    "device": "ls /dev/nothing; ls /dev | grep -v core | sort | tr '\\n' ' '",
    "cpus": "grep Cpus_allowed_list /proc/self/status; nproc",
    "volume": "ls -ld /anonymous; touch /anonymous/x; echo $?",
    "masked": "ls /proc/scsi | wc -l; ls /sys/firmware | wc -l",
    "read only kernel": "echo x > /proc/sys/kernel/domainname; echo $?",
}
BY_DEFAULT = {
    "user": "id; pwd; umask",
    "environment": "env | sort",
    "mounts": "mount | cut -d' ' -f3,5 | grep -v -e cgroup -e kcore -e sysrq | sort",
    "program": "cat /proc/1/cmdline",
    "capabilities": "grep Cap /proc/1/status",
    "seccomp": "grep Seccomp: /proc/1/status",
    "open files": "ulimit -Sn; ulimit -Hn",
    "processes": "ulimit -u",
    "core files": "ulimit -c",
    "other limits": "ulimit -a | grep -v -e pending -e 'open files' -e processes -e core",
    "links": "ls /sys/class/net",
    "resolver": "grep -v '^#' /etc/resolv.conf",
    "hosts": "cat /etc/hosts",
}


@on_both
def test_a_container_with_every_option(engine: Engine, answer: Answers) -> None:
    body = {"Image": IMAGE, **CONFIG, "HostConfig": HOST}
    made = engine.request("POST", "/containers/create?name=all", body)
    answer("created", {"status": made.status, "warnings": made.json["Warnings"]})
    found = engine.inspect("all")
    answer.fields("config", found["Config"], *CONFIG)
    answer.fields("host", found["HostConfig"], *HOST)
    for name in ("State", "Mounts", "NetworkSettings", "Path", "Args", "Platform", "RestartCount"):
        answer(name, found[name])
    answer("fields", sorted(found))
    started = engine.request("POST", "/containers/all/start")
    answer("started", started.verdict)
    for name, text in apart(engine.shell("all", together(INSIDE)).out).items():
        answer(f"inside: {name}", text)
    answer("running", engine.inspect("all")["State"])
    answer("stopped", engine.docker("stop -t 1 all").all)


@on_both
def test_defaults(engine: Engine, answer: Answers) -> None:
    engine.start("plain")
    found = engine.inspect("plain")
    for name, value in found["HostConfig"].items():
        if value not in (None, "", 0, [], {}, False):
            answer(f"host.{name}", value)
    answer("config", found["Config"])
    answer("networks", found["NetworkSettings"])
    answer("driver", found["GraphDriver"]["Name"])
    output = engine.shell("plain", together(BY_DEFAULT)).out
    for name, text in apart(output).items():
        answer(f"inside: {name}", text)


@on_both
def test_a_life_cycle_by_http(engine: Engine, answer: Answers) -> None:
    life = engine.create("life")
    steps = (
        "start", "start", "pause", "pause", "unpause", "unpause", "kill?signal=USR1", "restart?t=0",
        "rename?name=other", "rename?name=life", "kill", "kill", "stop", "wait",
    )  # fmt: skip
    for number, step in enumerate(steps):
        reply = engine.request("POST", f"/containers/{life}/{step}")
        answer(f"{number} {step}", reply.verdict)
        if step == "kill":
            engine.wait(life)
        answer(f"{number} after {step}", engine.inspect(life)["State"])
    engine.request("POST", "/containers/life/start")
    answer("remove running", engine.request("DELETE", "/containers/life").verdict)
    answer("remove by force", engine.request("DELETE", "/containers/life?force=1").verdict)
    answer("remove again", engine.request("DELETE", "/containers/life?force=1").verdict)


@on_both
def test_exit_codes_and_start_errors(engine: Engine, answer: Answers) -> None:
    for name, words in {
        "well": ("echo", "out"),
        "with a code": ("sh", "-c", "echo out; echo err >&2; exit 3"),
        "not found": ("nowhere",),
        "not executable": ("/etc/passwd",),
    }.items():
        answer(name, engine.docker("run --name end", IMAGE, *words).all)
        state = engine.inspect("end")["State"]
        answer.fields(f"{name}: state", state, "Status", "ExitCode", "Error", "OOMKilled")
        engine.docker("rm end", ok=True)
    for name, options in {
        "no such folder": ("-w", "/etc/passwd"),
        "no such user": ("-u", "gone"),
        "odd sysctl": ("--sysctl", "net.ipv4.gone=1"),
        "a network that is not there": ("--network", "gone"),
    }.items():
        answer(name, engine.once(*options).all)
    answer("nothing is left", engine.docker("ps -aq").out)


@on_both
def test_the_python_sdk(engine: Engine, answer: Answers) -> None:
    run = engine.sdk.containers.run
    answer("run", run(IMAGE, "echo hello", remove=True))
    answer("run with errors", run(IMAGE, ["sh", "-c", "echo a >&2"], stderr=True, remove=True))
    lines = run(IMAGE, ["sh", "-c", "echo 1; echo 2"], stream=True, remove=True)
    answer("stream", [bytes(line) for line in lines] if lines else "nothing")
    try:
        run(IMAGE, ["sh", "-c", "echo no >&2; exit 4"])
    except ContainerError as error:
        answer("error", {"code": error.exit_status, "err": error.stderr, "text": str(error)})
    try:
        engine.sdk.containers.get("gone")
    except APIError as error:
        answer("gone", {"status": error.status_code, "text": error.explanation})
    made = run(IMAGE, "sleep 1000", detach=True, name="sdk", labels={"a": "b"})
    answer("status", made.status)
    made.reload()
    answer("running", made.status)
    code, output = made.exec_run(["sh", "-c", "echo in; exit 5"])
    answer("exec", {"code": code, "output": output})
    code, (out, err) = made.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
    answer("exec demux", [out, err])
    answer("top", [row[1:] for row in made.top(ps_args="-o pid,comm")["Processes"]])
    answer("diff", made.diff())
    answer("put", made.put_archive("/tmp", b"\0" * 1024))
    made.rename("other")
    made.stop(timeout=0)
    answer("wait", made.wait())
    answer("commit", sorted(made.commit("made", "1").tags))
    answer(
        "filtered",
        [one.name for one in engine.sdk.containers.list(all=True, filters={"label": "a=b"})],
    )
    answer("pruned", len(engine.sdk.containers.prune()["ContainersDeleted"]))


@on_both
def test_lists(engine: Engine, answer: Answers) -> None:
    engine.start("runs", Labels={"a": "1"}, ExposedPorts={"80/tcp": {}})
    engine.create("made", Labels={"a": "2"})
    engine.start("ended", "sh", "-c", "exit 2")
    engine.ended("ended")
    shown = "{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}} {{.Mounts}} {{.Networks}}"
    for filters in (
        (), ("-a",), ("-n", "1"),
        ("-f", "status=exited"), ("-f", "status=created"), ("-f", "exited=2"),
        ("-af", "label=a"), ("-af", "label=a=2"), ("-af", "name=e"), ("-af", f"ancestor={IMAGE}"),
        ("-af", "network=bridge"), ("-af", "network=none"),
        ("-af", "expose=80"), ("-af", "before=made"),
        ("-af", "since=runs"), ("-f", "health=none"), ("-af", "volume=gone"), ("-f", "odd=1"),
    ):  # fmt: skip
        answer(" ".join(("ps", *filters)), engine.docker("ps", *filters, "--format", shown).all)
    for row in engine.request("GET", "/containers/json?all=1&size=1").json:
        answer.fields(
            row["Names"][0], row, "Command", "State", "SizeRw", "SizeRootFs", "Ports", "HostConfig"
        )
    answer("heads of ps", engine.docker("ps -a --no-trunc").out.splitlines()[0].split())
    answer(
        "stats", sorted(engine.request("GET", "/containers/runs/stats?stream=0&one-shot=1").json)
    )
    answer(
        "update", engine.docker("update --restart always --memory 64m --memory-swap 64m runs").err
    )
    answer("updated", engine.inspect("runs")["HostConfig"]["RestartPolicy"])
    answer("top", engine.docker("top runs -o pid,comm,user").out.split()[-2:])
    engine.shell("runs", "echo x > /new; rm /etc/group; mkdir /dir; chmod 700 /tmp", ok=True)
    answer("diff", sorted(engine.docker("diff runs").out.splitlines()))
