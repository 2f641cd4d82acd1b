"""Swarm mode on a real dockerd: entering it stops no container, and leaving it turns live-restore
on again.

With live-restore a container survives a killed dockerd; in a swarm, where dockerd allows no
live-restore, it does not.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.galley import IMAGE, Galley

STATE = "{{.LiveRestoreEnabled}} {{.Swarm.LocalNodeState}}"
STACK = f"""
version: "3.8"
services:
  reader:
    image: {IMAGE}
    command: ["sh", "-c", "echo ready; exec sleep 100000"]
    networks: [second]
    secrets: [key]
    configs: [words]
networks:
  second:
    driver_opts: {{encrypted: ""}}
secrets:
  key: {{external: true}}
configs:
  words: {{external: true}}
"""


def state(galley: Galley) -> str:
    """Live-restore and the swarm's state, from `docker info`."""
    return galley.docker("info", "--format", STATE).stdout.decode().strip()


def pid(galley: Galley, container: str) -> int:
    return int(galley.docker("inspect", "--format", "{{.State.Pid}}", container).stdout)


def run(galley: Galley, name: str, *options: str) -> int:
    """Starts a container that sleeps; returns the PID of its process."""
    galley.docker("run", "-d", "--name", name, *options, IMAGE, "sleep", "100000")
    return pid(galley, name)


def kill_dockerd(galley: Galley) -> None:
    def dockerd() -> bytes:
        return galley.run("shell", "pidof", "dockerd", check=False).stdout

    before = dockerd()
    galley.run("shell", "kill", "-9", before.decode().strip())
    galley.wait_for(lambda: dockerd() not in (b"", before), "dockerd starts again")
    galley.wait_for(galley.answers, "dockerd answers")


def tasks(galley: Galley, service: str) -> list[str]:
    """The running containers of a service."""
    label = f"label=com.docker.swarm.service.name={service}"
    return galley.docker("ps", "-q", "--filter", label).stdout.decode().split()


@pytest.fixture
def swarm(galley: Galley, no_containers: None) -> Iterator[Galley]:
    galley.docker("swarm", "init")
    yield galley
    galley.docker("swarm", "leave", "--force", check=False)
    assert state(galley) == "true inactive"


@pytest.mark.usefixtures("no_containers")
def test_without_a_swarm_a_container_survives_a_killed_dockerd(galley: Galley) -> None:
    before = run(galley, "plain")
    kill_dockerd(galley)
    assert pid(galley, "plain") == before
    assert state(galley) == "true inactive"


@pytest.mark.usefixtures("no_containers")
def test_swarm_init_and_leave_stop_no_container(galley: Galley) -> None:
    before = run(galley, "plain")
    galley.docker("swarm", "init")
    assert state(galley) == "false active"
    assert galley.docker("node", "ls", "--format", "{{.ManagerStatus}}").stdout == b"Leader\n"
    refused = galley.docker("swarm", "leave", check=False)
    assert b"--force" in refused.stderr
    assert state(galley) == "false active"
    galley.docker("swarm", "leave", "--force")
    assert state(galley) == "true inactive"
    assert pid(galley, "plain") == before


def test_a_failed_swarm_init_leaves_live_restore_on(galley: Galley) -> None:
    done = galley.docker("swarm", "init", "--advertise-addr", "nobody", check=False)
    assert b"advertise address" in done.stderr
    assert state(galley) == "true inactive"
    galley.run("shell", "sh", "-c", "echo nonsense >> /run/galley/dockerd.json")
    done = galley.docker("swarm", "init", check=False)
    galley.run("shell", "sed", "-i", "$d", "/run/galley/dockerd.json")
    assert b"dockerd does not turn off live-restore" in done.stderr
    assert b"Nothing was changed" in done.stderr
    assert state(galley) == "true inactive"
    galley.docker("swarm", "init")
    galley.docker("swarm", "leave", "--force")


def test_secrets_configs_overlay_networks_stacks_and_service_logs_work(swarm: Galley) -> None:
    swarm.docker("secret", "create", "key", "-", stdin=b"s3cret")
    swarm.docker("config", "create", "words", "-", stdin=b"plain")
    swarm.docker("network", "create", "-d", "overlay", "first")
    swarm.docker(
        "stack", "deploy", "--resolve-image", "never", "-c", "-", "s", stdin=STACK.encode()
    )
    swarm.wait_for(lambda: len(tasks(swarm, "s_reader")) == 1, "the stack's service runs")
    [task] = tasks(swarm, "s_reader")
    assert swarm.docker("exec", task, "cat", "/run/secrets/key", "/words").stdout == b"s3cretplain"
    # dockerd gives the second network the machine's own addresses, where no resolver listens.
    stdout = swarm.docker("exec", task, "busybox", "nslookup", "host.docker.internal").stdout
    assert b"10.0.2.2" in stdout
    logs = ("service", "logs", "--raw", "s_reader")
    swarm.wait_for(lambda: swarm.docker(*logs).stdout == b"ready\n", "the service has a log")


def test_in_a_swarm_containers_end_with_a_killed_dockerd(swarm: Galley) -> None:
    run(swarm, "plain")
    again = run(swarm, "again", "--restart", "always")
    create = ("service", "create", "-d", "--no-resolve-image", "--name", "web")
    swarm.docker(*create, IMAGE, "sleep", "100000")
    swarm.wait_for(lambda: bool(tasks(swarm, "web")), "the service runs")
    before = tasks(swarm, "web")
    kill_dockerd(swarm)
    assert state(swarm) == "false active"
    swarm.wait_for(lambda: tasks(swarm, "web") not in ([], before), "a new task runs")
    assert pid(swarm, "plain") == 0
    assert pid(swarm, "again") not in (0, again)


def test_a_swarm_survives_a_suspend_and_a_cold_start(swarm: Galley) -> None:
    create = ("service", "create", "-d", "--no-resolve-image", "--name", "web")
    swarm.docker(*create, IMAGE, "sleep", "100000")
    swarm.wait_for(lambda: bool(tasks(swarm, "web")), "the service runs")
    before = tasks(swarm, "web")
    swarm.run("suspend")
    swarm.start()
    assert (state(swarm), tasks(swarm, "web")) == ("false active", before)
    swarm.run("restart")
    assert state(swarm) == "false active"
    swarm.wait_for(lambda: tasks(swarm, "web") not in ([], before), "a new task runs")
