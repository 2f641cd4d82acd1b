"""Requests that an engine refuses: status and message are the same.

Next: `engine/bridge/requests.py`, which forwards them.
"""

from typing import Any

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both

Line = tuple[str, str, *tuple[Any, ...]]  # method, path, body, headers


def _compare(engine: Engine, answer: Answers, *lines: Line) -> None:
    for line in lines:
        method, path, *body = line
        name = " ".join(map(str, line))
        answer(name, engine.request(method, path, *body).verdict)


def _container(**config: Any) -> Line:
    return ("POST", "/containers/create", {"Image": IMAGE, **config})


def _host(**config: Any) -> Line:
    return _container(HostConfig=config)


@on_both
def test_missing_objects(engine: Engine, answer: Answers) -> None:
    verbs = ("start", "stop", "restart", "kill", "pause", "unpause", "wait", "resize", "exec")
    reads = ("json", "top", "logs?stdout=1", "stats", "changes", "export", "archive?path=/")
    _compare(engine, answer, *[("POST", f"/containers/gone/{verb}") for verb in verbs])
    _compare(engine, answer, *[("GET", f"/containers/gone/{read}") for read in reads])
    _compare(
        engine,
        answer,
        ("DELETE", "/containers/gone"),
        ("POST", "/containers/gone/rename?name=other"),
        ("POST", "/containers/gone/update", {"Memory": 1 << 26}),
        ("POST", "/containers/gone/attach?stdout=1"),
        ("POST", "/containers/gone/exec", {"Cmd": ["true"]}),
        ("HEAD", "/containers/gone/archive?path=/"),
        ("PUT", "/containers/gone/archive?path=/", b""),
        ("POST", "/commit?container=gone"),
        ("GET", "/exec/gone/json"),
        ("POST", "/exec/gone/start", {}),
        ("POST", "/exec/gone/resize?h=1&w=1"),
        ("GET", "/networks/gone"),
        ("DELETE", "/networks/gone"),
        ("POST", "/networks/gone/connect", {"Container": "gone"}),
        ("POST", "/networks/gone/disconnect", {"Container": "gone"}),
        ("GET", "/volumes/gone"),
        ("DELETE", "/volumes/gone"),
        ("GET", "/images/gone/json"),
        ("GET", "/images/gone/history"),
        ("GET", "/images/gone/get"),
        ("DELETE", "/images/gone"),
        ("POST", "/images/gone/tag?repo=other"),
        ("POST", "/images/gone/push?tag=1"),
        ("GET", "/plugins/gone/json"),
        ("DELETE", "/plugins/gone"),
        ("POST", "/containers/create", {"Image": "gone"}),
        ("GET", "/nowhere"),
        ("POST", "/nowhere"),
        ("PATCH", "/containers/json"),
        ("DELETE", "/info"),
    )


@on_both
def test_swarm_requests_without_a_swarm(engine: Engine, answer: Answers) -> None:
    kinds = ("swarm", "nodes", "services", "tasks", "secrets", "configs")
    _compare(engine, answer, *[("GET", f"/{kind}") for kind in kinds])
    _compare(
        engine,
        answer,
        ("POST", "/swarm/leave"),
        ("POST", "/swarm/update?version=1", {}),
        ("GET", "/swarm/unlockkey"),
        ("POST", "/swarm/unlock", {"UnlockKey": "x"}),
        ("GET", "/services/gone"),
        ("POST", "/services/create", {"Name": "a"}),
        ("POST", "/secrets/create", {"Name": "a", "Data": ""}),
        ("POST", "/configs/create", {"Name": "a", "Data": ""}),
        ("GET", "/nodes/self"),
        ("POST", "/networks/create", {"Name": "over", "Driver": "overlay"}),
        ("POST", "/swarm/join", {"RemoteAddrs": [], "JoinToken": "nonsense"}),
        ("POST", "/swarm/init", {"ListenAddr": "nonsense"}),
    )


@on_both
def test_invalid_containers(engine: Engine, answer: Answers) -> None:
    _compare(
        engine,
        answer,
        ("POST", "/containers/create", {}),
        ("POST", "/containers/create", {"Image": ""}),
        ("POST", "/containers/create", {"Image": "UPPER"}),
        ("POST", "/containers/create?name=/bad/name", {"Image": IMAGE}),
        ("POST", "/containers/create?name=a", {"Image": IMAGE}),
        ("POST", "/containers/create?platform=odd/odd/odd/odd", {"Image": IMAGE}),
        ("POST", "/containers/create?platform=linux%2Fs390x", {"Image": IMAGE}),
        _container(WorkingDir="relative"),
        _container(Env=["=x"]),
        _container(StopSignal="SIGNONSENSE"),
        _container(Hostname="-bad-" * 30),
        _container(Healthcheck={"Test": ["CMD", "x"], "Interval": 1}),
        _container(Healthcheck={"Test": ["CMD", "x"], "Timeout": 1}),
        _container(Healthcheck={"Test": ["CMD", "x"], "Retries": -1}),
        _container(Healthcheck={"Test": ["ODD"]}),
        _container(ExposedPorts={"nonsense": {}}),
        _container(Volumes={"relative": {}}),
        _container(NetworkingConfig={"EndpointsConfig": {"gone": {}}}),
        _container(NetworkDisabled="yes"),
    )


@on_both
def test_host_configs_that_are_invalid(engine: Engine, answer: Answers) -> None:
    _compare(
        engine,
        answer,
        _host(Memory=1),
        _host(Memory=-1),
        _host(Memory=1 << 27, MemorySwap=1 << 26),
        _host(MemorySwap=1 << 27),
        _host(Memory=1 << 27, MemoryReservation=1 << 28),
        _host(MemoryReservation=1),
        _host(MemorySwappiness=101),
        _host(NanoCpus=1, CpuQuota=1),
        _host(NanoCpus=10**12),
        _host(CpuShares=-1),
        _host(CpuPeriod=1),
        _host(CpuQuota=1),
        _host(CpusetCpus="99"),
        _host(CpusetCpus="odd"),
        _host(CpusetMems="9"),
        _host(BlkioWeight=1),
        _host(BlkioWeight=1001),
        _host(OomScoreAdj=2000),
        _host(ShmSize=-1),
        _host(RestartPolicy={"Name": "odd"}),
        _host(RestartPolicy={"Name": "always", "MaximumRetryCount": 1}),
        _host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": -1}),
        _host(RestartPolicy={"Name": "always"}, AutoRemove=True),
    )


@on_both
def test_other_host_configs_that_are_invalid(engine: Engine, answer: Answers) -> None:
    mount = {"Type": "bind", "Source": "/proc", "Target": "/in"}
    _compare(
        engine,
        answer,
        _host(LogConfig={"Type": "json-file", "Config": {"odd": "x"}}),
        _host(LogConfig={"Type": "json-file", "Config": {"max-size": "odd"}}),
        _host(LogConfig={"Type": "local", "Config": {"max-file": "0"}}),
        _host(LogConfig={"Type": "syslog", "Config": {"syslog-address": "odd"}}),
        _host(LogConfig={"Type": "none", "Config": {"mode": "odd"}}),
        _host(NetworkMode="gone"),
        _host(NetworkMode="container:gone"),
        _host(PidMode="odd"),
        _host(PidMode="container:gone"),
        _host(IpcMode="odd"),
        _host(IpcMode="container:gone"),
        _host(UTSMode="odd"),
        _host(UsernsMode="odd"),
        _host(CgroupnsMode="odd"),
        _host(Runtime="odd"),
        _host(Isolation="odd"),
        _host(CapAdd=["ODD"]),
        _host(CapDrop=["ODD"]),
        _host(SecurityOpt=["odd"]),
        _host(SecurityOpt=["seccomp=odd"]),
        _host(Sysctls={"odd": "1"}),
        _host(Ulimits=[{"Name": "odd", "Soft": 1, "Hard": 1}]),
        _host(Ulimits=[{"Name": "nofile", "Soft": 2, "Hard": 1}]),
        _host(Dns=["odd"]),
        _host(ExtraHosts=["odd"]),
        _host(ExtraHosts=["a:odd"]),
        _host(Links=["gone:x"]),
        _host(VolumesFrom=["gone"]),
        _host(Tmpfs={"relative": ""}),
        _host(Tmpfs={"/t": "odd"}),
        _host(Tmpfs={"/t": "size=odd"}),
        _host(PortBindings={"80/odd": [{"HostPort": "1"}]}),
        _host(PortBindings={"80/tcp": [{"HostPort": "odd"}]}),
        _host(PortBindings={"80/tcp": [{"HostIp": "odd", "HostPort": "80"}]}),
        _host(PortBindings={"odd/tcp": [{"HostPort": "80"}]}),
        _host(PortBindings={"80/tcp": [{"HostPort": "70000"}]}),
        _host(Binds=["odd"]),
        _host(Binds=["a:b"]),
        _host(Binds=["vol:/in:odd"]),
        _host(Binds=["vol:/"]),
        _host(Binds=["bad name:/in"]),
        _host(Binds=["/proc:/in", "/sys:/in"]),
        _host(Binds=["/proc:/in"], Mounts=[mount]),
        _host(Mounts=[{"Type": "odd", "Target": "/in"}]),
        _host(Mounts=[{"Type": "bind", "Target": "/in"}]),
        _host(Mounts=[{"Type": "bind", "Source": "/proc"}]),
        _host(Mounts=[{"Type": "tmpfs", "Source": "/proc", "Target": "/in"}]),
        _host(Mounts=[{"Type": "volume", "Source": "bad name", "Target": "/in"}]),
        _host(Mounts=[{**mount, "BindOptions": {"Propagation": "odd"}}]),
        _host(Mounts=[{"Type": "bind", "Source": "relative", "Target": "/in"}]),
        _host(DeviceRequests=[{"Driver": "odd", "Count": 1}]),
        _host(Devices=[{"PathOnHost": "/gone", "PathInContainer": "/x"}]),
    )


@on_both
def test_invalid_networks_and_volumes(engine: Engine, answer: Answers) -> None:
    def network(**config: Any) -> Line:
        return ("POST", "/networks/create", {"Name": "net", "CheckDuplicate": True, **config})

    def pool(**config: Any) -> Line:
        return network(IPAM={"Config": [config]})

    _compare(
        engine,
        answer,
        network(Name=""),
        network(Name="bridge"),
        network(Name="host"),
        network(Name="bad/name"),
        network(Driver="host"),
        network(Driver="null"),
        network(Scope="odd"),
        network(Options={"com.docker.network.bridge.name": "docker0"}),
        network(Options={"com.docker.network.driver.mtu": "odd"}),
        pool(Subnet="odd"),
        pool(Subnet="10.9.0.0/33"),
        pool(Subnet="10.9.0.0/16", Gateway="10.8.0.1"),
        pool(Subnet="10.9.0.0/16", IPRange="10.8.0.0/24"),
        pool(Subnet="172.17.0.0/16"),
        network(EnableIPv6=True, IPAM={"Config": [{"Subnet": "odd::/64"}]}),
        network(Attachable=True, Ingress=True),
        network(ConfigFrom={"Network": "gone"}),
        ("DELETE", "/networks/bridge"),
        ("DELETE", "/networks/none"),
        ("POST", "/networks/bridge/connect", {"Container": "gone"}),
        ("POST", "/networks/host/connect", {"Container": "gone"}),
        ("POST", "/volumes/create", {"Name": "bad name"}),
        ("POST", "/volumes/create", {"Name": "a", "DriverOpts": {"odd": "x"}}),
        ("POST", "/volumes/create", {"Name": "a", "DriverOpts": {"type": "tmpfs"}}),
        ("PUT", "/volumes/gone?version=1", {}),
        ("GET", "/volumes?filters=odd"),
        ("GET", "/networks?filters=%7B%22odd%22%3A%5B%22x%22%5D%7D"),
    )


@on_both
def test_invalid_images_and_builds(engine: Engine, answer: Answers) -> None:
    tar = {"Content-Type": "application/x-tar"}
    _compare(
        engine,
        answer,
        ("POST", "/images/create?fromImage=UPPER"),
        ("POST", "/images/create?fromSrc=odd%3A%2F%2Fx"),
        ("POST", "/images/create"),
        ("POST", f"/images/{IMAGE}/tag?repo=UPPER"),
        ("POST", f"/images/{IMAGE}/tag?repo=a&tag=bad%20tag"),
        ("POST", f"/images/{IMAGE}/tag"),
        ("GET", "/images/search?term=x&limit=1000"),
        ("GET", "/images/json?filters=%7B%22odd%22%3A%5B%22x%22%5D%7D"),
        ("POST", "/images/prune?filters=%7B%22odd%22%3A%5B%22x%22%5D%7D"),
        ("POST", "/build?dockerfile=..%2Fx", b"", tar),
        ("POST", "/build", b"no tar", tar),
        ("POST", "/build?t=UPPER", b"", tar),
        ("POST", "/build?version=9", b"", tar),
        ("POST", "/build?buildargs=odd", b"", tar),
        ("POST", "/build?networkmode=odd", b"", tar),
        ("POST", "/build?platform=odd%2Fodd%2Fodd%2Fodd", b"", tar),
        ("POST", "/images/load", b"no tar", tar),
        ("POST", "/build/prune?filters=odd"),
    )


@on_both
def test_malformed_requests(engine: Engine, answer: Answers) -> None:
    create = "/containers/create"
    for name, body, headers in (
        ("no JSON", b"{", {}),
        ("a list", b"[]", {}),
        ("two values", b"{}{}", {}),
        ("a null", b"null", {}),
        ("nothing", b"", {}),
        ("a wrong type", b'{"Image": 1}', {}),
        ("text", b"{}", {"Content-Type": "text/plain"}),
        ("no type", b"{}", {"Content-Type": ""}),
        ("a nonsense type", b"{}", {"Content-Type": ";;"}),
    ):
        answer(name, engine.request("POST", create, body, headers).verdict)
    for api in ("/v1.99", "/v1.1", "/v0.1", "/vx", "", "/v1.24", "//v1.45"):
        answer(f"version {api}", engine.request("GET", "/_ping", api=api).verdict)
    _compare(
        engine,
        answer,
        ("GET", "/containers/json?limit=odd"),
        ("GET", "/containers/json?filters=odd"),
        ("GET", "/containers/json?filters=%7B%22status%22%3A%5B%22odd%22%5D%7D"),
        ("GET", "/containers/json?filters=%7B%22odd%22%3A%5B%22x%22%5D%7D"),
        ("GET", "/events?since=odd&until=1"),
        ("GET", "/events?filters=odd"),
        ("GET", "/system/df?type=odd"),
        ("POST", "/containers/prune?filters=odd"),
        ("OPTIONS", "/info"),
        ("HEAD", "/_ping"),
        ("POST", "/session"),
        ("POST", "/grpc"),
    )
