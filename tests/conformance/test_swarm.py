"""A swarm of one node: services and their ports, secrets, configs, stacks.

Next: `../../engine/ports/`.
"""

from base64 import b64encode
from typing import Any

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both
from vm.host import net

SERVE = "cat /said > /index.html 2>/dev/null || echo $WHO > /index.html; exec httpd -f -p 80 -h /"
SERVICE = ("service", "create", "--no-resolve-image", "--detach")


def _running(engine: Engine, service: str, tasks: int) -> list[str]:
    """The states of a service's tasks, once the expected number of tasks runs."""

    def states() -> list[str]:
        output = engine.docker(
            "service ps", service, "-f", "desired-state=running", "--format", "{{.CurrentState}}"
        )
        return sorted(line.split()[0] for line in output.out.splitlines())

    return engine.eventually(states, lambda found: found == ["Running"] * tasks)


@on_both
def test_a_swarm(engine: Engine, answer: Answers) -> None:
    answer("init", engine.docker("swarm init").all)
    answer("init again", engine.docker("swarm init").all)
    info = engine.request("GET", "/info").json["Swarm"]
    answer.some("info", info, "LocalNodeState", "ControlAvailable", "Error", "Nodes", "Managers")
    swarm = engine.request("GET", "/swarm").json
    answer.fields(
        "swarm",
        swarm,
        "Spec",
        "RootRotationInProgress",
        "DefaultAddrPool",
        "SubnetSize",
        "DataPathPort",
    )
    nodes = engine.request("GET", "/nodes").json
    node = engine.eventually(
        lambda: engine.request("GET", "/nodes").json[0],
        lambda one: one["Status"]["State"] == "ready",
    )
    answer("nodes", len(nodes))
    answer.some("node", node, "Spec", "Status", "ManagerStatus")
    answer("token", engine.docker("swarm join-token worker").all)
    answer(
        "networks", engine.docker("network ls -f scope=swarm --format '{{.Name}} {{.Driver}}'").all
    )
    answer("leave", engine.docker("swarm leave").all)
    answer("leave by force", engine.docker("swarm leave --force").all)
    answer("leave again", engine.docker("swarm leave --force").all)
    answer("inactive", engine.request("GET", "/info").json["Swarm"]["LocalNodeState"])
    answer("containers still start", engine.docker("run --rm", IMAGE, "echo", "fine").all)


def _services(engine: Engine, answer: Answers) -> None:
    host, ingress = net.free_port(), net.free_port()
    published = ("--publish", f"mode=host,published={host},target=80")
    words = (*SERVICE, "--name", "web", "--env", "WHO=web", *published, IMAGE, "sh", "-c", SERVE)
    answer("service: create", engine.docker(*words).all)
    balanced = ("--name", "balanced", "--env", "WHO=balanced", "-p", f"{ingress}:80")
    answer(
        "service: create balanced", engine.docker(*SERVICE, *balanced, IMAGE, "sh", "-c", SERVE).all
    )
    answer("service: tasks", _running(engine, "web", 1))
    answer("service: host port", engine.page(host, wanted="web"))
    answer("service: tasks of balanced", _running(engine, "balanced", 1))
    answer("service: ingress port", engine.page(ingress, wanted="balanced", within=30))
    web = engine.inspect("web", "services")
    web["Spec"]["EndpointSpec"]["Ports"][0].pop("PublishedPort")
    answer("service: spec", web["Spec"])
    answer("service: created twice", engine.docker(*words).all)
    answer("service: scale", engine.docker("service scale --detach balanced=3").all)
    answer("service: scaled", _running(engine, "balanced", 3))
    answer("service: update", engine.docker("service update --detach --env-add WHO=new web").all)
    answer("service: updated", engine.page(host, wanted="new"))
    answer(
        "service: list", engine.docker("service ls --format '{{.Name}} {{.Mode}} {{.Image}}'").all
    )
    answer("service: remove", engine.docker("service rm web").all)
    answer("service: host port, after it", engine.page(host, wanted="refused"))
    answer("service: remove again", engine.docker("service rm web").all)


def _secrets_configs_and_jobs(engine: Engine, answer: Answers) -> None:
    for kind, name in (("secrets", "hidden"), ("configs", "open")):
        body: dict[str, Any] = {
            "Name": name,
            "Data": b64encode(b"kept").decode(),
            "Labels": {"a": "b"},
        }
        answer(f"{kind}: create", engine.request("POST", f"/{kind}/create", body).status)
        answer(f"{kind}: again", engine.request("POST", f"/{kind}/create", body).verdict)
        answer(f"{kind}: spec", engine.inspect(name, kind)["Spec"])
        bad = {"Name": "bad name!", "Data": ""}
        answer(f"{kind}: bad", engine.request("POST", f"/{kind}/create", bad).verdict)
    engine.docker("network create -d overlay --attachable over", ok=True)
    look = "cat /run/secrets/hidden /said; ls /sys/class/net | wc -l; hostname"
    words = (
        "--name",
        "reads",
        "--secret",
        "hidden",
        "--config",
        "source=open,target=/said",
        "--network",
        "over",
    )
    job = (
        "--mode",
        "replicated-job",
        "--hostname",
        "{{.Service.Name}}",
        "--restart-condition",
        "none",
    )
    answer("job", engine.docker(*SERVICE, *words, *job, IMAGE, "sh", "-c", look).all)

    def state() -> str:
        return engine.docker("service ps reads --format {{.CurrentState}}").out.partition(" ")[0]

    answer("job: state", engine.eventually(state, lambda found: found in ("Complete", "Failed")))
    answer("job: logs", engine.docker("service logs --raw reads").all)
    answer("in use", engine.docker("secret rm hidden").all)
    overlay = engine.inspect("over", "networks")
    answer.some("overlay", overlay, "Driver", "Scope", "Attachable", "Ingress", "Options")
    answer("attached", engine.docker("run --rm --network over", IMAGE, "ls", "/sys/class/net").all)
    engine.docker("service rm reads", ok=True)
    gone = engine.eventually(
        lambda: engine.docker("secret rm hidden").all, lambda result: result["code"] == 0
    )
    answer("not in use", gone)


def _stack(engine: Engine, answer: Answers) -> None:
    folder = engine.folder("stack")
    port = net.free_port()
    (folder / "said").write_text("of the stack\n")
    (folder / "stack.yaml").write_text(
        "services:\n  web:\n"
        f"    image: {IMAGE}\n    command: sh -c '{SERVE.replace('$', '$$')}'\n"
        "    configs: [{source: said, target: /said}]\n    networks: [inside]\n"
        f"    ports: [{{target: 80, published: {port}, mode: host}}]\n"
        "    deploy: {replicas: 1, update_config: {order: stop-first}}\n"
        "configs: {said: {file: ./said}}\nnetworks: {inside: {}}\n"
    )
    deploy = (
        "docker",
        "stack",
        "deploy",
        "--resolve-image",
        "never",
        "--detach=true",
        "-c",
        "stack.yaml",
        "shop",
    )
    done = engine.run(*deploy, folder=folder)
    answer(
        "stack: deploy", {"code": done.code, "out": sorted(done.out.splitlines()), "err": done.err}
    )
    answer("stack: tasks", _running(engine, "shop_web", 1))
    answer("stack: page", engine.page(port, wanted="of the stack"))
    answer("services", engine.docker("stack services shop --format '{{.Name}} {{.Replicas}}'").all)
    answer("stack: list", engine.docker("stack ls --format '{{.Name}} {{.Services}}'").all)
    removed = engine.docker("stack rm shop")
    answer("stack: remove", {"code": removed.code, "err": removed.err})
    answer("stack: page, after it", engine.page(port, wanted="refused"))


@on_both
def test_services_secrets_and_stacks(engine: Engine, answer: Answers) -> None:
    """In one swarm, because each takes seconds to create and to leave."""
    engine.docker("swarm init", ok=True)
    try:
        _services(engine, answer)
        _secrets_configs_and_jobs(engine, answer)
        _stack(engine, answer)
    finally:
        engine.docker("swarm leave --force")
