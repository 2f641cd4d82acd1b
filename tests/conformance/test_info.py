"""The engine's own endpoints: info, version, ping, disk use.

Next: `../../engine/guest/files/skeleton/etc/dockerd.json`.
"""

from tests.conformance.engines import Engine
from tests.conformance.suite import Answers, on_both

INFO = (
    "Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images", "Driver",
    "DriverStatus", "Plugins", "MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota",
    "CPUShares", "CPUSet", "PidsLimit", "IPv4Forwarding", "BridgeNfIptables", "BridgeNfIp6tables",
    "Debug", "OomKillDisable", "LoggingDriver", "CgroupDriver", "OSType", "Architecture",
    "IndexServerAddress", "RegistryConfig", "GenericResources", "HttpProxy", "HttpsProxy",
    "NoProxy", "Labels", "ExperimentalBuild", "ServerVersion", "Runtimes", "DefaultRuntime",
    "Swarm", "LiveRestoreEnabled", "Isolation", "InitBinary", "ContainerdCommit", "RuncCommit",
    "InitCommit", "SecurityOptions", "ProductLicense", "DefaultAddressPools", "Warnings",
)  # fmt: skip
OF_THE_COMPUTER = (
    "ID", "Name", "NCPU", "MemTotal", "KernelVersion", "OperatingSystem", "OSVersion", "SystemTime",
    "DockerRootDir", "NFd", "NGoroutines", "CgroupVersion",
)  # fmt: skip


@on_both
def test_info(engine: Engine, answer: Answers) -> None:
    info = engine.request("GET", "/info").json
    for name in OF_THE_COMPUTER:
        answer(f"{name} is there", bool(info.pop(name, None)) or name)
    info.pop("NEventsListener")  # Galley itself listens to events
    answer.fields("info", info, *INFO)


@on_both
def test_version_and_ping(engine: Engine, answer: Answers) -> None:
    version = engine.request("GET", "/version").json
    for name in ("KernelVersion", "BuildTime"):
        del version[name]
    for component in version.pop("Components"):
        details = component["Details"]
        details.pop("KernelVersion", None)
        answer(component["Name"], component)
    answer.fields("version", version, "Version", "ApiVersion", "MinAPIVersion", "Os", "Arch")
    for method in ("GET", "HEAD"):
        ping = engine.request(method, "/_ping")
        names = ("api-version", "builder-version", "docker-experimental", "ostype", "swarm")
        for name in (*names, "server", "content-type", "content-length", "cache-control"):
            answer(f"{method} {name}", ping.headers.get(name))
        answer(f"{method} body", ping.body.decode())


@on_both
def test_the_docker_command_line(engine: Engine, answer: Answers) -> None:
    server = "{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}/{{.Server.Arch}}"
    answer("docker version", engine.docker("version --format", server).all)
    warnings = engine.docker("info")
    answer("what docker info warns of", warnings.err)
    answer("docker system df", engine.docker("system df --format '{{.Type}} {{.TotalCount}}'").all)
    answer(
        "docker network ls",
        engine.docker("network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'").all,
    )
    for network in ("bridge", "host", "none"):
        found = engine.inspect(network, "networks")
        answer.fields(
            f"network {network}", found, "Driver", "IPAM", "Options", "Internal", "EnableIPv6"
        )
    usage = engine.request("GET", "/system/df").json
    answer(
        "system df",
        {name: len(rows or []) for name, rows in usage.items() if isinstance(rows, list)},
    )
    answer("buildx", engine.docker("buildx inspect --format x").code)
    answer("contexts", engine.docker("buildx ls").code)
