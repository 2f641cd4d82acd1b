"""A registry that only a private authority vouches for, and a network behind a proxy.

One Galley for the module, with a trust store of its own. Each test says which proxy and which store
it wants, and these cost a start of dockerd only where they differ from those of the test before.
"""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.dockercli import config_json
from tests.authorities import Authority
from tests.e2e.galley import IMAGE, Galley
from tests.e2e.servers import ANY, PASSWORD, USER, Proxy, SecureRegistry
from tests.unit.engine.secret_service import unlocked
from vm.backends import choose
from vm.host import trust_store

HOST = "10.0.2.2"  # this computer, as the machine reaches it
FETCH = f"busybox wget -q -O - http://{ANY}:1/nothing || true; echo $http_proxy"


class Place(msgspec.Struct, frozen=True):
    """`near` is reached directly, `far` only through the proxy; their authority is `authority`."""

    galley: Galley
    store: Path
    everybodys: bytes
    authority: Authority
    near: SecureRegistry
    far: SecureRegistry
    expired: SecureRegistry
    proxy: Proxy

    def trust(self, *more: Authority) -> None:
        """The trust store holds what everybody trusts, and these; and Galley has seen it."""
        self.store.write_bytes(self.everybodys + b"".join(one.pem for one in more))
        self.galley.start()

    def use_proxy(self) -> None:
        self.galley.run("settings", "set", "http_proxy", self.proxy.address)
        self.galley.run("settings", "set", "https_proxy", self.proxy.address)
        self.galley.run("settings", "set", "proxy", "manual")

    def use_none(self) -> None:
        self.galley.run("settings", "set", "proxy", "none")

    def login(self, registry: SecureRegistry, *, check: bool = True) -> str:
        words = ("login", "--username", USER, "--password-stdin", registry.name)
        done = self.galley.docker(*words, check=check, stdin=PASSWORD.encode())
        return (done.stdout + done.stderr).decode()

    def push_and_pull(self, registry: SecureRegistry) -> None:
        reference = f"{registry.name}/kept"
        self.galley.docker("tag", IMAGE, reference)
        self.galley.docker("push", "-q", reference)
        self.galley.docker("rmi", reference)
        self.galley.docker("pull", "-q", reference)
        self.galley.docker("rmi", reference)

    def refused(self, registry: SecureRegistry) -> str:
        """What is said of a pull and a push that fail, with an engine that lives on."""
        reference = f"{registry.name}/kept"
        self.galley.docker("tag", IMAGE, reference)
        said = ""
        for verb in ("push", "pull"):
            done = self.galley.docker(verb, "-q", reference, check=False)
            assert done.returncode != 0
            said = done.stderr.decode()
        self.galley.docker("rmi", reference)
        assert self.galley.answers()
        return said

    def problems(self) -> list[str]:
        return [problem["summary"] for problem in self.galley.status()["problems"]]

    def gets_through(self) -> bool:
        """Whether a container that asks the proxy for what nobody serves is told so by it."""
        done = self.galley.docker("run", "--rm", IMAGE, "sh", "-c", FETCH)
        return b" 500 " in done.stderr

    def who_knows(self, secret: str) -> list[str]:
        """Files of this Galley, the machine's disk among them, what it gives away in a bug report,
        and programs by their arguments."""
        galley = self.galley
        galley.run("shell", "sync")
        words = ["grep", "-rlF", "--devices=skip", "--file=-", str(galley.home.root)]
        done = subprocess.run(words, input=secret.encode(), stdout=subprocess.PIPE, timeout=120)
        bundle = self.store.with_name("bundle.zip")
        galley.run("diagnose", "--bundle", str(bundle), check=False)
        with zipfile.ZipFile(bundle) as archive:
            told = [one for one in archive.namelist() if secret.encode() in archive.read(one)]
        programs = [line for line in galley.processes() if secret in line]
        return [*done.stdout.decode().splitlines(), *told, *programs]

    def dockerds_proxies(self) -> list[str]:
        said = self.galley.docker("info", "--format", "{{.HTTPProxy}} {{.HTTPSProxy}} {{.NoProxy}}")
        return said.stdout.decode().split()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("p")
    authority = Authority("A kitchen")
    galley = Galley(root / "home", images)
    galley.take_one_cpu()
    galley.env["SSL_CERT_FILE"] = str(root / "store.pem")
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        galley.env.pop(name, None)
        galley.env.pop(name.upper(), None)
    found = next(Path(path) for path in trust_store.BUNDLES if Path(path).exists())
    place = Place(
        galley,
        root / "store.pem",
        found.read_bytes(),
        authority,
        SecureRegistry(root / "near", authority, HOST),
        SecureRegistry(root / "far", authority, ANY),
        SecureRegistry(root / "expired", authority, HOST, days=-1),
        Proxy(root / "proxy"),
    )
    servers = (place.near, place.far, place.expired, place.proxy)
    try:
        for server in servers:
            server.start()
        galley.run("settings", "set", "use_keyring", "false")
        place.trust()
        galley.load_image()
        yield place
    finally:
        galley.remove()
        for server in servers:
            server.stop()


def test_an_authority_that_nobody_trusts(place: Place) -> None:
    place.trust()
    assert "certificate signed by unknown authority" in place.refused(place.near)
    assert place.problems() == []


def test_an_authority_that_this_computer_trusts(place: Place) -> None:
    """Containers live through the change, and where nothing has changed dockerd does, too."""
    galley = place.galley
    galley.docker("run", "-d", "--name", "kept", IMAGE, "sleep", "100000")
    place.trust(place.authority)
    assert "no basic auth credentials" in place.refused(place.near)
    place.login(place.near)
    place.push_and_pull(place.near)
    said = galley.docker("inspect", "--format", "{{.State.Running}} {{.RestartCount}}", "kept")
    assert said.stdout.split() == [b"true", b"0"]
    galley.docker("rm", "-f", "kept")
    pid = galley.run("shell", "pidof", "dockerd").stdout
    galley.start()
    assert galley.run("shell", "pidof", "dockerd").stdout == pid


def test_builds_pull_what_this_computer_trusts(place: Place, tmp_path: Path) -> None:
    """dockerd's own BuildKit, and builders in containers by the authorities that they find."""
    galley = place.galley
    place.trust(place.authority)
    place.login(place.near)
    reference = f"{place.near.name}/kept"
    galley.docker("tag", IMAGE, reference)
    galley.docker("push", "-q", reference)
    galley.docker("rmi", reference)
    (tmp_path / "Dockerfile").write_text(f"FROM {reference}\nRUN echo built > /built\n")
    _bring_buildx(galley)
    galley.docker("buildx", "build", "--pull", "--no-cache", "--tag", "built", str(tmp_path))
    assert galley.docker("run", "--rm", "built", "cat", "/built").stdout == b"built\n"
    certificates = ("cat", "/etc/ssl/certs/ca-certificates.crt")
    for builder in ("moby/buildkit:buildx-stable-1", "builder"):
        galley.docker("tag", IMAGE, builder)
        done = galley.docker("run", "--rm", "--network=none", builder, *certificates, check=False)
        assert (place.authority.pem in done.stdout) == (builder != "builder")
        galley.docker("rmi", builder)
    galley.docker("rmi", "built")


def test_certificates_that_have_ended(place: Place) -> None:
    """That of an authority is left out and told; that of a registry is refused."""
    place.trust(place.authority, Authority("Gone off", days=-1))
    [problem] = place.galley.status()["problems"]
    assert problem["summary"].startswith("The certificate of Gone off is not used: it ended on ")
    assert problem["hint"]
    assert "certificate has expired" in place.refused(place.expired)
    place.trust(place.authority)
    assert place.problems() == []


def test_certificates_for_a_single_registry(place: Place, tmp_path: Path) -> None:
    """They are in docker's own folder, and the machine has them in no file of its disk."""
    galley = place.galley
    place.trust()
    registry = SecureRegistry(tmp_path / "registry", Authority("A cellar"), HOST, clients=True)
    registry.start()
    try:
        assert "certificate signed by unknown authority" in place.refused(registry)
        folder = Path(galley.env["DOCKER_CONFIG"], "certs.d", registry.name)
        folder.mkdir(parents=True)
        shutil.copy(registry.folder / "authority", folder / "ca.crt")
        galley.start()
        assert "certificate required" in place.refused(registry)
        shutil.copy(registry.folder / "cert", folder / "client.cert")
        shutil.copy(registry.folder / "key", folder / "client.key")
        galley.start()
        assert place.problems() == []
        place.login(registry)
        place.push_and_pull(registry)
        line = (registry.folder / "key").read_text().splitlines()[1]
        assert place.who_knows(line) == [str(folder / "client.key")]
        (folder / "ca.crt").write_text("no certificate")
        galley.start()
        assert place.problems() == [f"There is no certificate in {folder / 'ca.crt'}."]
        shutil.rmtree(folder)
        galley.start()
        assert place.problems() == []
        assert "certificate signed by unknown authority" in place.refused(registry)
    finally:
        registry.stop()


def test_a_network_behind_a_proxy(place: Place) -> None:
    proxy = place.proxy
    place.trust(place.authority)
    assert "connection refused" in place.refused(place.far)
    place.use_proxy()
    assert place.dockerds_proxies()[:2] == [proxy.inside, proxy.inside]
    place.login(place.far)
    place.push_and_pull(place.far)
    assert f"CONNECT {place.far.name}" in proxy.log
    place.login(place.near)
    place.push_and_pull(place.near)
    assert HOST not in proxy.log  # this computer itself is reached directly
    assert place.problems() == []


def test_a_start_finds_it_all(place: Place) -> None:
    """Also what has changed while there was no machine: dockerd starts once."""
    place.trust()
    place.use_none()
    place.galley.run("stop", "--cold")
    place.use_proxy()
    place.trust(place.authority)
    place.login(place.far)
    place.push_and_pull(place.far)
    console = place.galley.machine.console_log.read_text()
    assert console.count("galley: certificates ") == 1  # handed over, and not brought again
    assert console.count("galley: configured ") == 1
    assert "in force" not in console


def test_containers_and_builds_have_it(place: Place, tmp_path: Path) -> None:
    """Each asks the proxy for something that nobody serves, and the proxy has heard of it."""
    galley, proxy = place.galley, place.proxy
    place.use_proxy()
    before = proxy.log.count(f"GET http://{ANY}:1/nothing")
    said = galley.docker("run", "--rm", IMAGE, "sh", "-c", FETCH).stdout
    assert said == f"{proxy.inside}\n".encode()
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN {FETCH}\n")
    galley.env["DOCKER_BUILDKIT"] = "0"
    done = galley.docker("build", "--no-cache", str(tmp_path))
    del galley.env["DOCKER_BUILDKIT"]
    assert proxy.inside.encode() in done.stdout
    _bring_buildx(galley)
    done = galley.docker("buildx", "build", "--progress=plain", "--no-cache", str(tmp_path))
    assert proxy.inside.encode() in done.stdout + done.stderr
    assert proxy.log.count(f"GET http://{ANY}:1/nothing") == before + 3


def _bring_buildx(galley: Galley) -> None:
    """BuildKit's client, for docker on this computer."""
    plugin = Path(galley.env["DOCKER_CONFIG"], "cli-plugins", "docker-buildx")
    if shutil.which("docker-buildx", path="/usr/libexec/docker/cli-plugins") or plugin.exists():
        return
    backend = choose("qemu")
    address = backend.observe(galley.machine).address
    assert address is not None
    guest = backend.guest(galley.machine, address)
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.write_bytes(guest.read("/usr/libexec/docker/cli-plugins/docker-buildx"))
    guest.close()
    plugin.chmod(0o755)


def test_a_proxy_that_is_down(place: Place) -> None:
    place.use_proxy()
    place.proxy.stop()
    place.galley.start()
    [problem] = place.galley.status()["problems"]
    assert problem["summary"].startswith(f"The proxy {place.proxy.address} does not answer")
    assert problem["hint"]
    assert "proxyconnect" in place.refused(place.far)
    said = place.galley.run("diagnose", check=False).stdout.decode()
    assert "does not answer" in said
    place.proxy.start()
    place.galley.start()
    assert place.problems() == []


def test_no_proxy_any_more(place: Place) -> None:
    """Nor the authority: dockerd starts once without both, and nobody knows of them any more."""
    galley = place.galley
    place.store.write_bytes(place.everybodys)
    place.use_none()
    assert place.dockerds_proxies() == []
    assert galley.docker("run", "--rm", IMAGE, "sh", "-c", "echo $http_proxy").stdout == b"\n"
    config = config_json.read_json(Path(galley.env["DOCKER_CONFIG"], "config.json"))
    assert "proxies" not in config
    assert "certificate signed by unknown authority" in place.refused(place.near)


def test_the_proxy_of_this_computer(place: Place) -> None:
    """What the supervisor was started with."""
    galley = place.galley
    galley.run("settings", "unset", "proxy")
    galley.run("quit")
    galley.env |= {"HTTPS_PROXY": place.proxy.address, "NO_PROXY": "kitchen.example.com"}
    galley.start()
    https, never = place.dockerds_proxies()
    assert https == place.proxy.inside
    assert never.endswith(",kitchen.example.com")


SECRET = "to-be-found-nowhere"


def test_a_proxy_that_asks_for_a_password(place: Place, tmp_path: Path) -> None:
    """It comes from the keyring, or from the environment, and no file and nobody's arguments have
    it: neither here nor in the machine, where containers go through the proxy all the same."""
    galley = place.galley
    galley.run("quit")
    for name in ("HTTPS_PROXY", "NO_PROXY"):
        galley.env.pop(name, None)
    proxy = Proxy(tmp_path / "proxy", SECRET)
    proxy.start()
    address = proxy.address.replace("//", f"//{USER}@")
    try:
        with unlocked() as keyring:
            for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME"):
                galley.env[name] = os.environ[name]
            place.trust(place.authority)
            for name in ("https_proxy", "http_proxy"):
                galley.run("settings", "set", name, address)
            galley.run("settings", "set", "proxy", "manual")
            assert place.problems() == [f"Galley has no password for the proxy {address}."]
            assert not place.gets_through()
            given = address.replace(USER, f"{USER}:{SECRET}").encode()
            galley.run("settings", "set", "http_proxy", "-", stdin=given)
            assert place.problems() == []
            place.login(place.far)
            place.push_and_pull(place.far)
            assert place.gets_through()
            assert place.who_knows(SECRET) == []
            assert str(galley.home.settings) in place.who_knows(address)
            keyring.lock()
            galley.start()
            assert place.problems() == ["The keyring is locked."]
            assert not place.gets_through()
            assert galley.answers()
        galley.run("quit")
        galley.env |= {"HTTPS_PROXY": given.decode(), "http_proxy": given.decode()}
        galley.run("settings", "unset", "proxy")
        galley.start()
        assert place.problems() == []
        assert place.gets_through()
        assert place.who_knows(SECRET) == []
    finally:
        proxy.stop()
