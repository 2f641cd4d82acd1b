"""A diagnostics bundle contains no secret of a real dockerd, wherever the secret is stored."""

import base64
import json
import os
import re
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from engine.bridge.unix import connect
from engine.diagnose import harmless
from engine.diagnose.bundle import write_bundle
from engine.diagnose.facts import Facts
from engine.dockerapi.http import get
from engine.settings.store import SettingsStore
from engine.types import EngineHealth, EngineStatus
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker
from tests.unit.engine.docker.conftest import NetworkedDockerd
from vm.guest.protocol import Guest
from vm.guest.ssh_keys import make_key
from vm.host import process
from vm.host.paths import Home, find_home, make_home
from vm.types import MachineState, Status

pytestmark = pytest.mark.timeout(120)


def planted(place: str) -> str:
    """A secret that does not look like one; it names its place, for the failure message."""
    return f"Kestrel{place.title().replace('-', '')}Heron"


class DebuggedDockerd(NetworkedDockerd):
    """A dockerd with secrets in its daemon.json and debug lines in its log."""

    def __init__(self, folder: Path, config: Path) -> None:
        super().__init__(folder)
        self._netns = f"galley-bundle-{os.getpid()}"
        self._config = config

    def _options(self) -> list[str]:
        return [*super()._options(), f"--config-file={self._config}"]


class LocalGuest:
    """A guest whose commands run on this computer, with the dockerd log of `server`."""

    def __init__(self, server: Dockerd) -> None:
        self._log = str(server.folder / "dockerd.log")

    def run(
        self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60.0
    ) -> process.Completed:
        del stdin
        words = [self._log if word == "/var/log/dockerd.log" else word for word in argv]
        return process.run(("busybox", *words), timeout=timeout)


CONFIG = {
    "debug": True,
    "labels": [f"owner={planted('daemon-label')}"],
    "log-opts": {"max-size": "10m", "tag": planted("log-tag"), "env": planted("log-env")},
    "registry-mirrors": [f"http://127.0.0.1:9/{planted('mirror')}"],
    "proxies": {"http-proxy": f"http://me:{planted('daemon-proxy')}@127.0.0.1:9"},
    "runtimes": {"other": {"path": "runc", "runtimeArgs": [f"--x={planted('runtime')}"]}},
}


@pytest.fixture
def home() -> Home:
    home = make_home(find_home())
    home.daemon_config.write_text(json.dumps(CONFIG))
    return home


@pytest.fixture
def server(home: Home) -> Iterator[Dockerd]:
    assert os.getuid() == 0, "dockerd runs as root: run the tests as root"
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    made = DebuggedDockerd(folder, home.daemon_config)
    made.start()
    home.docker_socket.symlink_to(made.socket)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


# {place} stands for the secret of that place.
COMMANDS = (
    "network create --label l={network-label} --opt com.example.o={network-option} backend",
    "volume create --label l={volume-label} --opt type=tmpfs --opt device=tmpfs data",
    """
    run -d --name web --network backend -v data:/data -p 8080:80 --hostname {hostname}
    --workdir /{workdir} --label traefik.basicauth=admin:{label} --annotation a={annotation}
    -e MYSQL_PWD={env-name} -e STAGE={env} -e DATABASE_URL=mysql://root:{env-url}@db/x
    --network-alias {alias} --add-host {extra-host}:127.0.0.1 --dns-search {dns-search}
    --log-opt labels={log-option} --health-cmd "true {health}"
    IMAGE sh -c ": {process}; sleep 1000; : -p{attached} --pw={equals}" "-u root:{user}" {argument}
    """,
    "exec -e EXEC_PWD={exec-env} web true {exec-argument}",
    "run --rm --entrypoint echo IMAGE {echoed}",
    """commit --change "LABEL l={image-label}" --change "ENV E={image-env}" --message {message}
    web kept""",
    "rename web front",
    "build --build-arg STAGE={build-argument} -t built BUILD",
)
FILES = {
    "settings.toml": 'cpus = 1\nmine = "{unknown-setting}"\n# {comment}\n',
    "logs/console.log": "it helps\npassword={console}\n",
    "logs/supervisor.log": "it helps\nAuthorization: Bearer {own-log}\n",
    "logs/desktop.1.log": "it helps\n--token {older-log}\n",
}


def _plant(server: Dockerd, home: Home) -> list[str]:
    """Put secrets into Docker objects and into files; return them."""
    places = ["daemon-label", "log-tag", "log-env", "mirror", "daemon-proxy", "runtime"]

    def filled(text: str) -> str:
        places.extend(re.findall(r"\{([\w-]+)\}", text))
        return re.sub(r"\{([\w-]+)\}", lambda found: planted(found[1]), text)

    build = server.folder / "build"
    build.mkdir()
    (build / "Dockerfile").write_text(f"FROM {IMAGE}\nARG STAGE\n")
    for command in COMMANDS:
        words = filled(command).replace("IMAGE", IMAGE).replace("BUILD", str(build))
        done = docker(server.socket, *shlex.split(words))
        assert done.returncode == 0, done.stderr
    for name, text in FILES.items():
        (home.root / name).write_text(filled(text))
    return [*map(planted, places), *_plant_login(home)]


def _plant_login(home: Home) -> list[str]:
    """Write a registry login to docker's config.json and to a log; return its secrets."""
    password = planted("registry")
    login = base64.b64encode(f"me:{password}".encode()).decode()
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"auths": {"registry": {"auth": login}}}))
    (home.logs / "desktop.log").write_text(f"logged in as {login}, that is {password}\n")
    return [password, login]


def _our_keys(home: Home) -> list[str]:
    """Write Galley's own keys to a log, in every form that a log may contain; return them."""
    make_key(home.machine / "id_ed25519", home.machine / "id_ed25519.pub")
    control = home.run / "control.key"
    control.write_bytes(b"0123456789abcdef" * 4)
    written = []
    for path in (home.machine / "id_ed25519", control):
        key = path.read_bytes()
        written += [key.decode(), key.hex(), base64.b64encode(key).decode()]
        written += [line for line in key.decode().splitlines() if not line.startswith("-----")]
    (home.logs / "backend.log").write_text("\n".join(("it helps", *written)))
    return written


def test_a_bundle_holds_no_planted_secret(server: Dockerd, home: Home, tmp_path: Path) -> None:
    secrets = _plant(server, home) + _our_keys(home)
    log = (server.folder / "dockerd.log").read_text()
    for place in ("env", "exec-env", "label", "build-argument"):
        assert planted(place) in log, "dockerd's debug log contains the secret"
    assert (
        planted("attached") in get(lambda: connect(home.docker_socket), "/containers/json").decode()
    )

    facts = Facts(
        home,
        SettingsStore(home).load(),
        guest=cast(Guest, LocalGuest(server)),
        status=EngineStatus(
            "0", "", Status(MachineState.RUNNING, "qemu"), EngineHealth(reachable=True)
        ),
    )
    target = tmp_path / "bundle.zip"
    names = write_bundle(target, facts, ())
    with zipfile.ZipFile(target) as archive:
        content = {name: archive.read(name).decode() for name in names}

    assert len(secrets) > 40
    found = [(name, secret) for name, text in content.items() for secret in secrets
             if secret.lower() in text.lower()]  # fmt: skip
    assert not found

    _check_useful_content(content)


def _check_useful_content(content: dict[str, str]) -> None:
    """Check what a maintainer reads first."""
    (container,) = json.loads(content["engine/containers.json"])
    assert (container["Names"], container["State"]) == (["/front"], "running")
    assert container["Ports"][0]["PublicPort"] == 8080
    assert container["Mounts"][0]["Destination"] == "/data"
    assert container["ImageID"].startswith("sha256:")
    assert len(container["Id"]) == 64
    networks = {network["Name"]: network for network in json.loads(content["engine/networks.json"])}
    assert networks["backend"]["IPAM"]["Config"][0]["Subnet"]
    assert json.loads(content["engine/info.json"])["ServerVersion"]
    assert json.loads(content["engine/version.json"])["ApiVersion"]
    config = json.loads(content["daemon.json"])
    assert config["debug"] is True
    assert config["log-opts"]["max-size"] == "10m"
    assert config["labels"] == [harmless.LEFT_OUT]
    assert json.loads(content["settings.json"])["cpus"] == 1
    assert "API listen on" in content["guest/dockerd.log"]
    assert "debug lines are left out" in content["guest/dockerd.log"]
    assert "dockerd" in content["guest/processes.txt"]
    for log in ("console", "supervisor", "desktop.1", "backend"):
        assert "it helps" in content[f"logs/{log}.log"]
