"""The engine's defaults are those of a native engine: limits hold, and SDKs can read logs."""

import json
from typing import Any

import docker
import pytest

from tests.e2e.galley import IMAGE, Galley

EAT = "tail /dev/zero"  # keeps its whole input in memory


@pytest.fixture
def with_swap(galley: Galley) -> Galley:
    """The guest adds its swap some seconds after the start."""
    galley.wait_for(
        lambda: b"galley-data/swap" in galley.run("shell", "cat", "/proc/swaps").stdout,
        "the guest's swap is on",
    )
    return galley


def test_a_container_over_its_memory_limit_is_killed(
    with_swap: Galley, no_containers: None
) -> None:
    limits = ("-m", "32m", "--memory-swap", "32m")
    ran = with_swap.docker("run", "--name", "eats", *limits, IMAGE, "sh", "-c", EAT, check=False)
    # Not State.OOMKilled: on cgroup v2 containerd may send the OOM event after the exit event
    # (containerd issue 8180).
    assert ran.returncode == 137
    assert b"swap limit" not in ran.stderr
    inspected = with_swap.docker("inspect", "--format", "{{.HostConfig.MemorySwap}}", "eats")
    assert inspected.stdout.strip() == str(32 << 20).encode()


def test_docker_info_has_no_warning_of_limits(galley: Galley) -> None:
    warnings = json.loads(galley.docker("info", "--format", "{{json .Warnings}}").stdout) or []
    assert [line for line in warnings if "limit" in line or "support" in line] == []


def test_the_sdk_for_python_returns_what_a_container_wrote(
    galley: Galley, no_containers: None
) -> None:
    client = docker.DockerClient(base_url=galley.docker_host)
    try:
        assert client.containers.run(IMAGE, "echo hello", remove=True) == b"hello\n"
        streamed: Any = client.containers.run(IMAGE, "echo hello", remove=True, stream=True)
        assert b"".join(streamed) == b"hello\n"
    finally:
        client.close()


def test_a_containers_logs_are_rotated(galley: Galley, no_containers: None) -> None:
    galley.docker("create", "--name", "logs", IMAGE)
    stdout = galley.docker("inspect", "--format", "{{json .HostConfig.LogConfig}}", "logs").stdout
    assert json.loads(stdout) == {
        "Type": "json-file",
        "Config": {"max-file": "5", "max-size": "20m"},
    }


def test_apparmor_confines_containers_and_can_be_lifted(
    galley: Galley, no_containers: None
) -> None:
    """The profile denies mounts, which the capability would allow."""
    stdout = galley.docker("info", "--format", "{{.SecurityOptions}}").stdout
    assert b"name=apparmor" in stdout
    script = (
        "cat /proc/self/attr/current; busybox mkdir /m; busybox mount -t tmpfs m /m && echo done"
    )
    confined = galley.docker(
        "run", "--rm", "--cap-add", "SYS_ADMIN", IMAGE, "sh", "-c", script, check=False
    )
    assert confined.stdout == b"docker-default (enforce)\n"
    assert b"denied" in confined.stderr
    for options in (
        ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"),
        ("--privileged",),
    ):
        lifted = galley.docker("run", "--rm", *options, IMAGE, "sh", "-c", script)
        assert lifted.stdout == b"unconfined\ndone\n"


def test_a_process_that_exec_starts_is_confined(galley: Galley, no_containers: None) -> None:
    galley.docker("run", "-d", "--name", "runs", IMAGE, "sleep", "100000")
    write = "cat /proc/self/attr/current; echo 1 > /proc/sys/vm/drop_caches"
    done = galley.docker("exec", "--privileged", "runs", "sh", "-c", write, check=False)
    assert done.stdout == b"docker-default (enforce)\n"
    assert done.returncode != 0
