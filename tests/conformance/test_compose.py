"""Compose v2: an ordinary project from `up` to `down`.

Next: `test_swarm.py`.
"""

import json
from collections.abc import Callable

from tests.conformance.engines import IMAGE, Engine, Ran, apart, together
from tests.conformance.suite import Answers, on_both
from vm.host import net

PROJECT = """\
name: shop
x-common: &common
  image: %(image)s
  init: true
services:
  web:
    <<: *common
    build: {context: ., args: {WHO: compose}}
    image: shop-web
    command: sh -c "cat /who > /index.html; exec httpd -f -p 80 -h /"
    ports: ["127.0.0.1:%(port)d:80"]
    networks: [front, back]
    depends_on:
      db: {condition: service_healthy}
      once: {condition: service_completed_successfully}
    environment: {A: one, FROM_FILE: "${FROM_ENV:-none}"}
    env_file: [more.env]
    volumes: ["./site:/site:ro", "kept:/kept", {type: tmpfs, target: /scratch}]
    configs: [{source: conf, target: /conf}]
    secrets: [hidden]
    extra_hosts: ["other:192.0.2.7"]
    deploy: {resources: {limits: {memory: 64M, pids: 40}}}
    ulimits: {nofile: 500}
    labels: {a: b}
    stop_grace_period: 1s
  db:
    <<: *common
    command: sh -c "sleep 0.3; touch /ready; exec sleep 1000"
    healthcheck:
      {test: [CMD, test, -e, /ready], start_period: 60s, start_interval: 500ms, interval: 60s}
    networks: {back: {aliases: [database]}}
    restart: unless-stopped
  once:
    <<: *common
    command: echo prepared
    network_mode: none
  debug:
    <<: *common
    profiles: [debug]
    command: sleep 1000
networks:
  front: {}
  back: {internal: true}
volumes:
  kept: {labels: {x: y}}
configs:
  conf: {content: "of a config"}
secrets:
  hidden: {file: ./hidden}
"""
DOCKERFILE = f"FROM {IMAGE}\nARG WHO\nRUN echo $WHO > /who\n"


def _compare_services(answer: Answers, compose: Callable[..., Ran]) -> None:
    """Compares `compose ps` and the inside of one service."""
    rows = [json.loads(line) for line in compose("ps", "-a", "--format", "json").out.splitlines()]
    for row in sorted(rows, key=lambda row: str(row["Service"])):
        answer.some(
            f"{row['Service']}", row, "Name", "State", "Health", "ExitCode", "Image", "Command"
        )
    lines = {
        "environment": "echo $A $MORE $FROM_FILE",
        "bind": "cat /site/page; touch /site/x",
        "volume": "touch /kept/file; ls /kept",
        "config": "cat /conf",
        "secret": "cat /run/secrets/hidden",
        "tmpfs": "mount | grep -c /scratch",
        "hosts": "grep other /etc/hosts",
        "names": "nslookup database 127.0.0.11 | grep -c Address; ls /sys/class/net | tr '\\n' ' '",
        "ulimit": "ulimit -n",
    }
    output = compose("exec", "-T", "web", "sh", "-c", together(lines)).out
    for name, text in apart(output).items():
        answer(f"in web: {name}", text)


@on_both
def test_a_project(engine: Engine, answer: Answers) -> None:
    port = net.free_port()
    folder = engine.folder("shop")
    (folder / "site").mkdir()
    (folder / "site" / "page").write_text("page")
    for name, text in {
        "compose.yaml": PROJECT % {"image": IMAGE, "port": port},
        "Dockerfile": DOCKERFILE,
        "more.env": "MORE=two\n",
        ".env": "FROM_ENV=three\n",
        "hidden": "secret",
    }.items():
        (folder / name).write_text(text)

    def compose(*words: str, stdin: str = "") -> Ran:
        return engine.run(
            "docker", "compose", "--progress", "quiet", *words, stdin=stdin, folder=folder
        )

    def execute(line: str) -> Ran:
        return compose("exec", "-T", "web", "sh", "-c", line)

    answer("config", len(json.loads(compose("config", "--format", "json").out)["services"]))
    answer("build", compose("build").code)
    answer("up", compose("up", "-d", "--wait").code)
    answer("page", engine.page(port))
    _compare_services(answer, compose)
    limits = engine.inspect("shop-web-1")["HostConfig"]
    answer("limits", [limits["Memory"], limits["PidsLimit"]])
    answer("logs", compose("logs", "--no-log-prefix", "once").all)
    answer("exec code", execute("exit 5").code)
    answer("run stdin", compose("run", "--rm", "-T", "--no-deps", "db", "cat", stdin="in").out)
    answer("port", compose("port", "web", "80").out.strip() == f"127.0.0.1:{port}")
    answer("copy", compose("cp", "web:/who", str(folder / "copied")).code)
    answer("copied", (folder / "copied").read_text())
    more = ("--profile", "debug", "up", "-d", "--no-deps", "--scale", "db=2", "db", "debug")
    answer("scale, and a profile", compose(*more).code)
    answer("scaled", sorted(compose("ps", "--format", "{{.Name}}").out.split()))
    answer("stop", compose("stop", "-t", "0").code)
    answer("stopped", engine.page(port, wanted="refused"))
    answer("start", compose("start", "web").code)
    answer("page again", engine.page(port))
    answer("kept", execute("ls /kept").out)
    answer("down", compose("--profile", "debug", "down", "-v", "-t", "0", "--rmi", "local").code)
    answer("nothing is left", [engine.docker("ps -aq").out, engine.docker("volume ls -q").out])
    answer("no networks", engine.docker("network ls -qf type=custom").out)


@on_both
def test_errors_of_compose(engine: Engine, answer: Answers) -> None:
    folder = engine.folder("bad")
    for name, services in {
        "no image": "a: {}",
        "odd key": f"a: {{image: {IMAGE}, odd: 1}}",
        "cycle": (
            f"a: {{image: {IMAGE}, depends_on: [b]}}\n  b: {{image: {IMAGE}, depends_on: [a]}}"
        ),
        "no network": f"a: {{image: {IMAGE}, networks: [gone]}}",
        "no secret": f"a: {{image: {IMAGE}, secrets: [gone]}}",
        "ends badly": f"a: {{image: {IMAGE}, command: sh -c 'exit 3'}}",
        "never healthy": (
            f"a: {{image: {IMAGE}, command: sleep 1000,"
            " healthcheck: {test: 'false', interval: 100ms, retries: 1}}"
        ),
        "never pulled": "a: {image: gone, pull_policy: never}",
    }.items():
        (folder / "compose.yaml").write_text(f"services:\n  {services}\n")
        up = ("docker", "compose", "--progress", "quiet", "up", "--wait", "-d")
        done = engine.run(*up, folder=folder)
        answer(name, {"code": done.code, "err": done.err.splitlines()[-1:]})
    engine.run("docker", "compose", "down", "-t", "0", folder=folder)
