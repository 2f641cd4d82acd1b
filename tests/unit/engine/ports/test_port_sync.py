"""Ports from a real dockerd to a backend: forwards, routes in the guest, problems."""

from tests.unit.engine.bridge.servers import IMAGE, wait_until
from tests.unit.engine.ports.conftest import Scene
from vm.types import MachineState


def run(scene: Scene, name: str, *words: str) -> None:
    scene.server.run_docker("run", "-d", f"--name={name}", *words, IMAGE, "sleep", "1000")


def test_a_refused_rule_is_a_problem_of_its_port_and_is_retried(scene: Scene) -> None:
    scene.guest.refused = "iptables-restore"
    run(scene, "web", "-p=127.0.0.2:8080:80", "-p=8081:81")
    wait_until(lambda: scene.ports.problems != ())
    (problem,) = scene.ports.problems
    assert "rejected the rules" in problem.summary
    problems = {port.container_port: port.problem for port in scene.ports.ports}
    assert problems == {80: problem, 81: None}, "a port without a rule has no problem"
    assert scene.changes == 2, "one for the ports, one for the problem"
    scene.guest.refused = ""
    run(scene, "next")
    wait_until(lambda: scene.ports.problems == ())
    assert scene.changes > 2, "the port works now"
    guest_port = next(p.forward.guest_port for p in scene.ports.ports if p.container_port == 80)
    assert scene.server.targets()[str(guest_port)] == scene.server.targets()["8080"]


def test_a_stopped_machine_has_no_ports_and_no_problems(scene: Scene) -> None:
    scene.guest.refused = "iptables-restore"
    run(scene, "web", "-p=127.0.0.2:8080:80")
    wait_until(lambda: scene.ports.problems != ())
    scene.watch.end()
    scene.ports.follow(MachineState.STOPPING)
    assert scene.ports.ports == ()
    scene.ports.follow(MachineState.STOPPED)
    assert scene.ports.problems == ()
    scene.guest.refused = ""
    scene.begin_watch()
    wait_until(lambda: scene.open() == {("web", "127.0.0.2", 8080)})


def test_the_error_of_a_second_container_names_the_first(scene: Scene) -> None:
    scene.docker("run", "-d", "--name=first", "-p=18700:80", IMAGE, "sleep", "1000")
    output = scene.docker("run", "--name=second", "-p=18700:80", IMAGE, "true")
    assert "Port 18700/tcp on 127.0.0.1 is already published by the container first." in output
    assert scene.open() == {("first", address, 18700) for address in ("127.0.0.1", "::1")}
