"""Resource limits, restart policies and health checks take effect.

Next: `engine/guest/files/usr/lib/galley/service`.
"""

from functools import partial
from typing import Any

from tests.conformance.engines import IMAGE, Engine, apart, together
from tests.conformance.suite import Answers, on_both

FILL = ("tail", "/dev/zero")  # uses memory up to the limit


@on_both
def test_memory(engine: Engine, answer: Answers) -> None:
    for name, options in {
        "no swap": ("-m", "16m", "--memory-swap", "16m"),
        "swap by default": ("-m", "16m"),
    }.items():
        fill = partial(_filled, engine, *options)
        output, found = engine.eventually(fill, lambda one: one[1]["State"]["OOMKilled"])
        answer(name, output)
        answer.fields(f"{name}: state", found["State"], "OOMKilled", "ExitCode", "Status")
        host = found["HostConfig"]
        answer.some(
            f"{name}",
            host,
            "Memory",
            "MemorySwap",
            "MemoryReservation",
            "MemorySwappiness",
            "OomKillDisable",
        )


def _filled(engine: Engine, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs a container that uses up its memory; returns its output and its state. containerd reads
    the kernel's count of OOM kills when it changes; on a busy machine the cgroup may be gone."""
    engine.request("DELETE", "/containers/fills?force=1")
    output = engine.docker("run --name fills", *options, IMAGE, *FILL).all
    return output, engine.inspect("fills")


@on_both
def test_limits_in_the_containers_cgroup(engine: Engine, answer: Answers) -> None:
    """In a cgroup of version 1 or 2, as the engine has it."""
    limits = ("-m", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "20")
    engine.docker("run -d --name held", *limits, IMAGE, ok=True)

    def read(**files: tuple[str, str]) -> dict[str, str]:
        lines = {
            name: f"cat /sys/fs/cgroup/{newer} 2>/dev/null || cat /sys/fs/cgroup/{older}"
            for name, (newer, older) in files.items()
        }
        output = apart(engine.shell("held", together(lines)).out)
        return {name: text.strip() for name, text in output.items()}

    limits_of = {
        "memory": ("memory.max", "memory/memory.limit_in_bytes"),
        "pids": ("pids.max", "pids/pids.max"),
    }
    swap = ("memory.swap.max", "memory/memory.memsw.limit_in_bytes")
    held = read(**limits_of, swap=swap, cpu=("cpu.max", "cpu/cpu.cfs_quota_us"))
    answer("memory", held["memory"])
    more = {str(32 << 20): "32 MiB more", str(96 << 20): "32 MiB more"}
    answer("swap", more.get(held["swap"], held["swap"]))
    answer("pids", held["pids"])
    answer("cpu", held["cpu"].split()[0])
    forks = "(for i in $(seq 40); do sleep 100 & done) 2>&1 >/dev/null | head -n 1"
    answer("too many processes", engine.shell("held", forks).out)
    stats = engine.request("GET", "/containers/held/stats?stream=0&one-shot=1").json
    answer(
        "stats", {"memory": stats["memory_stats"]["limit"], "pids": stats["pids_stats"]["limit"]}
    )
    updated = engine.docker("update -m 48m --memory-swap 48m --pids-limit 30 held")
    answer("update", updated.all)
    for name, limit in read(**limits_of).items():
        answer(f"{name} after it", limit)


@on_both
def test_warnings_of_a_limit(engine: Engine, answer: Answers) -> None:
    limits: tuple[dict[str, Any], ...] = (
        {"Memory": 64 << 20},
        {"Memory": 64 << 20, "MemorySwap": 64 << 20},
        {"CpuShares": 10, "NanoCpus": 10**9},
        {"PidsLimit": 10},
        {"CpusetCpus": "0"},
        {"PublishAllPorts": True, "NetworkMode": "host"},
    )
    for number, host in enumerate(limits):
        body = {"Image": IMAGE, "HostConfig": host}
        made = engine.request("POST", f"/containers/create?name=w{number}", body).json
        answer(" ".join(host), made["Warnings"])


@on_both
def test_restart_policies(engine: Engine, answer: Answers) -> None:
    def policy(name: str, times: int = 0) -> dict[str, Any]:
        return {"RestartPolicy": {"Name": name, "MaximumRetryCount": times}}

    engine.start("thrice", "sh", "-c", "echo run; exit 7", HostConfig=policy("on-failure", 2))
    engine.start("well", "sh", "-c", "echo run", HostConfig=policy("on-failure", 2))
    engine.start("never", "sh", "-c", "exit 1", HostConfig=policy("no"))
    engine.start("always", HostConfig=policy("always"))
    for name, restarts in (("thrice", 2), ("well", 0), ("never", 0)):
        ended = engine.ended(name, restarts)
        answer(f"{name}: restarts", ended["RestartCount"])
        answer(f"{name}: state", ended["State"])
        answer(f"{name}: output", engine.docker("logs", name).all)
    pid = engine.inspect("always")["State"]["Pid"]
    engine.docker("exec always kill -9 1")
    engine.shell("always", "kill -TERM 1")
    answer("always, stopped", engine.docker("stop -t 0 always").all)
    answer("always, after it", engine.inspect("always")["State"]["Status"])
    answer("always had a process", pid > 0)
    engine.start(
        "again", "sh", "-c", "[ -e /once ] && sleep 1000; touch /once", HostConfig=policy("always")
    )
    again = engine.eventually(
        lambda: engine.inspect("again"),
        lambda found: found["RestartCount"] == 1 and found["State"]["Running"],
    )
    answer("again: restarts", again["RestartCount"])
    answer("again: state", again["State"])


@on_both
def test_health(engine: Engine, answer: Answers) -> None:
    second = 10**9
    once = {"Interval": second, "Timeout": 20 * second, "Retries": 1}
    checks: dict[str, list[str]] = {
        "healthy": ["CMD-SHELL", "echo fine"],
        "unhealthy": ["CMD-SHELL", "echo bad; exit 1"],
        "missing": ["CMD", "/nowhere"],
    }
    for name, test in checks.items():
        engine.start(name, Healthcheck={"Test": test, **once})

        def ask(name: str = name) -> dict[str, Any]:
            return dict(engine.inspect(name)["State"]["Health"])

        health = engine.eventually(ask, lambda found: found["Status"] != "starting")
        answer(f"{name}: status", health["Status"])
        answer(f"{name}: streak", min(health["FailingStreak"], 1))
        answer(f"{name}: check", health["Log"][0])
        shown = engine.docker("ps -f", f"health={health['Status']}", "--format", "{{.Status}}")
        answer(f"{name}: ps", shown.out)
        engine.request("DELETE", f"/containers/{name}?force=1")  # its checks go on
    engine.create("none", Healthcheck={"Test": ["NONE"]})
    answer("none", engine.inspect("none")["State"].get("Health"))
