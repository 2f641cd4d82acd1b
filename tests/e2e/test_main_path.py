"""A user's first steps: start, `docker run`, status and logs, stop."""

import json
import re
import subprocess

from tests.e2e.galley import IMAGE, Galley


def test_docker_run_answers_through_our_socket(galley: Galley) -> None:
    done = galley.docker("run", "--rm", IMAGE, "echo", "hello from the kitchen")
    assert done.stdout == b"hello from the kitchen\n"


def test_docker_run_sees_the_end_of_stdin(galley: Galley) -> None:
    done = galley.docker("run", "--rm", "-i", IMAGE, "cat", stdin=b"x")
    assert done.stdout == b"x"


def test_exit_codes_are_passed_on(galley: Galley) -> None:
    assert galley.docker("run", "--rm", IMAGE, "sh", "-c", "exit 7", check=False).returncode == 7
    assert (
        galley.run("docker", "run", "--rm", IMAGE, "sh", "-c", "exit 8", check=False).returncode
        == 8
    )
    assert galley.run("shell", "sh", "-c", "exit 9", check=False).returncode == 9


def test_an_image_can_be_built(galley: Galley, tmp_path_factory: object) -> None:
    context = galley.home.root / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo built > /made\nCMD cat /made\n")
    galley.env["DOCKER_BUILDKIT"] = "0"
    galley.docker("build", "-q", "-t", "made", str(context))
    assert galley.docker("run", "--rm", "made").stdout == b"built\n"


def test_compose_and_buildx_are_in_the_machine(galley: Galley) -> None:
    compose = galley.run("shell", "docker", "compose", "version").stdout
    assert re.match(rb"Docker Compose version v?\d+\.\d+", compose)
    buildx = galley.run("shell", "docker", "buildx", "version").stdout
    assert re.search(rb"buildx v?\d+\.\d+", buildx)


def test_a_network_driver_loads_its_kernel_module(galley: Galley) -> None:
    """The guest's kernel must find modprobe for macvlan and for dummy, its parent."""
    galley.docker("network", "create", "--driver", "macvlan", "far")
    done = galley.docker("run", "--rm", "--network", "far", IMAGE, "echo", "there")
    assert done.stdout == b"there\n"
    galley.docker("network", "rm", "far")


def test_the_status_of_a_running_engine(galley: Galley) -> None:
    status = galley.status()
    assert status["state"] == "running"
    assert status["backend"] == "qemu"
    assert status["accelerator"]["name"] in ("kvm", "tcg")
    assert status["accelerator"]["reason"]
    assert status["endpoint"] == galley.docker_host
    assert status["engine"]["reachable"] is True
    assert re.match(r"\d+\.\d+", status["engine"]["version"])
    assert re.match(r"1\.\d+", status["engine"]["api"])
    assert status["vm"]["memory_bytes"] >= 2**30
    assert 0 < status["vm"]["disk_used_bytes"] < status["vm"]["disk_bytes"]
    assert all(step["seconds"] is not None for step in status["boot"])
    assert status["problems"] == []


def test_the_context_is_ours_and_current(galley: Galley) -> None:
    """docker uses it without an option or a variable."""
    environment = {name: galley.env[name] for name in galley.env if name != "DOCKER_CONTEXT"}
    words = ["docker", "context", "inspect"]
    stdout = subprocess.run(words, env=environment, check=True, capture_output=True).stdout
    (current,) = json.loads(stdout)
    assert current["Metadata"]["GalleyHome"] == str(galley.home.root)
    assert current["Endpoints"]["docker"]["Host"] == galley.docker_host


def test_logs_of_every_component(galley: Galley) -> None:
    assert b"galley: engine" in galley.run("logs", "--component", "vm").stdout
    assert b"API listen" in galley.run("logs", "--component", "engine").stdout
    supervisor = galley.run("logs", "--component", "supervisor", "--lines", "100000").stdout
    assert f", home {galley.home.root}".encode() in supervisor


def test_the_socket_is_private_and_answers_while_the_engine_is_down(fresh: Galley) -> None:
    fresh.start()
    assert fresh.home.docker_socket.stat().st_mode & 0o777 == 0o600
    fresh.run("stop")
    done = fresh.docker("ps", check=False)
    assert done.returncode != 0
    assert b"Galley's engine is stopped" in done.stderr
    assert b"galley start" in done.stderr
    assert not fresh.machines()
