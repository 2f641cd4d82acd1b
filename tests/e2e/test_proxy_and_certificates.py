"""A registry with a certificate of a private authority, and a network behind a proxy.

One Galley for the module, with its own trust store. Each test sets its proxy and its store; dockerd
restarts only if they differ from those of the previous test.
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

HOST = "10.0.2.2"  # this computer's address in the machine
FETCH = f"busybox wget -q -O - http://{ANY}:1/nothing || true; echo $http_proxy"


class Place(msgspec.Struct, frozen=True):
    """`near` is reached directly, `far` only through the proxy; their authority is `authority`."""

    galley: Galley
    store: Path
    system_bundle: bytes
    authority: Authority
    near: SecureRegistry
    far: SecureRegistry
    expired: SecureRegistry
    proxy: Proxy

    def trust(self, *more: Authority) -> None:
        """Adds `more` to the system's authorities in the trust store, and lets Galley read it."""
        self.store.write_bytes(self.system_bundle + b"".join(one.pem for one in more))
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
        """The error of a push and a pull that must fail; checks that the engine runs on."""
        reference = f"{registry.name}/kept"
        self.galley.docker("tag", IMAGE, reference)
        output = ""
        for verb in ("push", "pull"):
            done = self.galley.docker(verb, "-q", reference, check=False)
            assert done.returncode != 0
            output = done.stderr.decode()
        self.galley.docker("rmi", reference)
        assert self.galley.answers()
        return output

    def problems(self) -> list[str]:
        return [problem["summary"] for problem in self.galley.status()["problems"]]

    def gets_through(self) -> bool:
        """Whether a container's request reaches the proxy, which then answers with an error."""
        done = self.galley.docker("run", "--rm", IMAGE, "sh", "-c", FETCH)
        return b" 500 " in done.stderr

    def holders_of(self, secret: str) -> list[str]:
        """Where the secret is found: Galley's files, also the machine's disk, its diagnostics
        bundle, and the arguments of its processes."""
        galley = self.galley
        galley.run("shell", "sync")
        words = ["grep", "-rlF", "--devices=skip", "--file=-", str(galley.home.root)]
        done = subprocess.run(words, input=secret.encode(), stdout=subprocess.PIPE, timeout=120)
        bundle = self.store.with_name("bundle.zip")
        galley.run("diagnose", "--bundle", str(bundle), check=False)
        with zipfile.ZipFile(bundle) as archive:
            bundled = [one for one in archive.namelist() if secret.encode() in archive.read(one)]
        programs = [line for line in galley.processes() if secret in line]
        return [*done.stdout.decode().splitlines(), *bundled, *programs]

    def dockerds_proxies(self) -> list[str]:
        done = self.galley.docker("info", "--format", "{{.HTTPProxy}} {{.HTTPSProxy}} {{.NoProxy}}")
        return done.stdout.decode().split()


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


def test_an_untrusted_authority_is_refused(place: Place) -> None:
    place.trust()
    assert "certificate signed by unknown authority" in place.refused(place.near)
    assert place.problems() == []


def test_an_authority_that_this_computer_trusts_is_accepted(place: Place) -> None:
    """Containers survive the change, and without a change dockerd is not restarted."""
    galley = place.galley
    galley.docker("run", "-d", "--name", "kept", IMAGE, "sleep", "100000")
    place.trust(place.authority)
    assert "no basic auth credentials" in place.refused(place.near)
    place.login(place.near)
    place.push_and_pull(place.near)
    done = galley.docker("inspect", "--format", "{{.State.Running}} {{.RestartCount}}", "kept")
    assert done.stdout.split() == [b"true", b"0"]
    galley.docker("rm", "-f", "kept")
    pid = galley.run("shell", "pidof", "dockerd").stdout
    galley.start()
    assert galley.run("shell", "pidof", "dockerd").stdout == pid


def test_builds_pull_from_a_registry_that_this_computer_trusts(
    place: Place, tmp_path: Path
) -> None:
    """With dockerd's own BuildKit; builder containers get the authorities too."""
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


def test_expired_certificates(place: Place) -> None:
    """An authority's is left out and reported; a registry's is refused."""
    place.trust(place.authority, Authority("Gone off", days=-1))
    [problem] = place.galley.status()["problems"]
    assert problem["summary"].startswith("The certificate of Gone off is not used: it ended on ")
    assert problem["hint"]
    assert "certificate has expired" in place.refused(place.expired)
    place.trust(place.authority)
    assert place.problems() == []


def test_certificates_for_a_single_registry(place: Place, tmp_path: Path) -> None:
    """They are in docker's certs.d, and in no file of the machine's disk."""
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
        assert place.holders_of(line) == [str(folder / "client.key")]
        (folder / "ca.crt").write_text("no certificate")
        galley.start()
        assert place.problems() == [f"There is no certificate in {folder / 'ca.crt'}."]
        shutil.rmtree(folder)
        galley.start()
        assert place.problems() == []
        assert "certificate signed by unknown authority" in place.refused(registry)
    finally:
        registry.stop()


def test_pulls_and_pushes_through_a_proxy(place: Place) -> None:
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


def test_a_cold_start_applies_proxies_and_certificates(place: Place) -> None:
    """Also changes made while the machine was stopped; dockerd starts only once."""
    place.trust()
    place.use_none()
    place.galley.run("stop", "--cold")
    place.use_proxy()
    place.trust(place.authority)
    place.login(place.far)
    place.push_and_pull(place.far)
    console = place.galley.machine.console_log.read_text()
    assert console.count("galley: certificates ") == 1  # with the boot files, and not sent again
    assert console.count("galley: configured ") == 1
    assert "in force" not in console


def test_containers_and_builds_get_the_proxy(place: Place, tmp_path: Path) -> None:
    """Each requests a URL without a server, and the proxy logs that request."""
    galley, proxy = place.galley, place.proxy
    place.use_proxy()
    before = proxy.log.count(f"GET http://{ANY}:1/nothing")
    stdout = galley.docker("run", "--rm", IMAGE, "sh", "-c", FETCH).stdout
    assert stdout == f"{proxy.inside}\n".encode()
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
    """Copies buildx from the machine for this computer's docker, unless it has one."""
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


def test_a_proxy_that_is_down_is_reported(place: Place) -> None:
    place.use_proxy()
    place.proxy.stop()
    place.galley.start()
    [problem] = place.galley.status()["problems"]
    assert problem["summary"].startswith(f"The proxy {place.proxy.address} does not answer")
    assert problem["hint"]
    assert "proxyconnect" in place.refused(place.far)
    stdout = place.galley.run("diagnose", check=False).stdout.decode()
    assert "does not answer" in stdout
    place.proxy.start()
    place.galley.start()
    assert place.problems() == []


def test_removing_proxy_and_authority_takes_effect(place: Place) -> None:
    """dockerd restarts without both, and docker's configuration has no proxy."""
    galley = place.galley
    place.store.write_bytes(place.system_bundle)
    place.use_none()
    assert place.dockerds_proxies() == []
    assert galley.docker("run", "--rm", IMAGE, "sh", "-c", "echo $http_proxy").stdout == b"\n"
    config = config_json.read_json(Path(galley.env["DOCKER_CONFIG"], "config.json"))
    assert "proxies" not in config
    assert "certificate signed by unknown authority" in place.refused(place.near)


def test_the_proxy_of_the_supervisors_environment(place: Place) -> None:
    """With the proxy variables of the supervisor's environment."""
    galley = place.galley
    galley.run("settings", "unset", "proxy")
    galley.run("quit")
    galley.env |= {"HTTPS_PROXY": place.proxy.address, "NO_PROXY": "kitchen.example.com"}
    galley.start()
    https, never = place.dockerds_proxies()
    assert https == place.proxy.inside
    assert never.endswith(",kitchen.example.com")


SECRET = "to-be-found-nowhere"


def test_a_proxy_that_requires_a_password(place: Place, tmp_path: Path) -> None:
    """The password comes from the keyring or the environment. No file and no process's arguments
    contain it, on the host or in the machine; containers use the proxy anyway."""
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
            with_password = address.replace(USER, f"{USER}:{SECRET}").encode()
            galley.run("settings", "set", "http_proxy", "-", stdin=with_password)
            assert place.problems() == []
            place.login(place.far)
            place.push_and_pull(place.far)
            assert place.gets_through()
            assert place.holders_of(SECRET) == []
            assert str(galley.home.settings) in place.holders_of(address)
            keyring.lock()
            galley.start()
            assert place.problems() == ["The keyring is locked."]
            assert not place.gets_through()
            assert galley.answers()
        galley.run("quit")
        galley.env |= {"HTTPS_PROXY": with_password.decode(), "http_proxy": with_password.decode()}
        galley.run("settings", "unset", "proxy")
        galley.start()
        assert place.problems() == []
        assert place.gets_through()
        assert place.holders_of(SECRET) == []
    finally:
        proxy.stop()
