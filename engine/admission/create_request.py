"""What Galley reads of requests that create containers, services and swarms, and may change.

The structs have dockerd's own names and types, so that `go_json.read` sees in a body what dockerd
sees. They are as permissive as dockerd's: what cannot be decoded here is refused there. Each rule
of this folder takes such a value and returns a changed copy; `admission.py` decodes a body once and
writes the result into its bytes. Next: `go_json.py`, `admission.py`.
"""

import msgspec

from engine.ports.services import INGRESS, ServicePort, ServicePorts, ServiceSpec

PORT_NUMBERS = range(65536)


class _Part(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A part of a request."""


class BindOptions(_Part, frozen=True):
    create_mountpoint: bool = False


class Mount(_Part, frozen=True):
    type: str = ""
    source: str = ""
    target: str = ""
    bind_options: BindOptions | None = None

    @property
    def is_bind(self) -> bool:
        """Whether it may be a bind mount. For a service dockerd accepts capital letters too, and a
        missing type as a bind; for a container it refuses both."""
        return self.type.upper() in ("", "BIND")

    @property
    def makes_source(self) -> bool:
        return self.bind_options is not None and self.bind_options.create_mountpoint


class HostConfig(_Part, frozen=True):
    """`binds`: SOURCE:TARGET[:MODE]; `tmpfs`: options by target."""

    binds: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    tmpfs: dict[str, str] = {}


class CreateContainer(HostConfig, frozen=True):
    """POST /containers/create. Where `HostConfig` is missing, dockerd takes its fields from the
    top level, as before API 1.18."""

    image: str = ""
    env: tuple[str, ...] = ()
    host_config: HostConfig | None = None

    @property
    def host(self) -> HostConfig:
        """The host configuration that dockerd uses."""
        if self.host_config is not None:
            return self.host_config
        return HostConfig(self.binds, self.mounts, self.tmpfs)

    def with_host(self, host: HostConfig) -> "CreateContainer":
        """With `host` where it was read, or in `HostConfig` where there was none."""
        if self.host_config is None and self.host != HostConfig():
            return msgspec.structs.replace(self, binds=host.binds, mounts=host.mounts)
        return self if host == self.host else msgspec.structs.replace(self, host_config=host)


class ContainerSpec(_Part, frozen=True):
    env: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()


class TaskSpec(_Part, frozen=True):
    container_spec: ContainerSpec | None = None


class PortConfig(_Part, frozen=True):
    protocol: str = ""
    target_port: int = 0
    published_port: int = 0
    publish_mode: str = ""

    @property
    def is_valid(self) -> bool:
        return self.target_port in PORT_NUMBERS and self.published_port in PORT_NUMBERS

    @property
    def of_service(self) -> ServicePort:
        """The port as dockerd stores it: in small letters, with the defaults."""
        return ServicePort(
            self.protocol.upper().lower() or "tcp",
            self.target_port,
            self.published_port,
            self.publish_mode.upper().lower() or INGRESS,
        )


class EndpointSpec(_Part, frozen=True):
    ports: tuple[PortConfig, ...] = ()


class CreateService(_Part, frozen=True):
    """POST /services/create and /services/ID/update."""

    name: str = ""
    task_template: TaskSpec = TaskSpec()
    endpoint_spec: EndpointSpec | None = None

    @property
    def container(self) -> ContainerSpec | None:
        """None for a service of another runtime."""
        return self.task_template.container_spec

    def with_container(self, container: ContainerSpec) -> "CreateService":
        task = msgspec.structs.replace(self.task_template, container_spec=container)
        return msgspec.structs.replace(self, task_template=task)

    @property
    def spec(self) -> ServiceSpec:
        """The name and the ports to publish, without invalid port numbers."""
        ports = self.endpoint_spec.ports if self.endpoint_spec else ()
        return ServiceSpec(
            self.name, ServicePorts(tuple(p.of_service for p in ports if p.is_valid))
        )


class InitSwarm(_Part, frozen=True):
    """POST /swarm/init."""

    default_addr_pool: tuple[str, ...] = ()
