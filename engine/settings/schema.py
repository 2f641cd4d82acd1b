"""All settings: each is one field of `Settings`, which has everything about it.

The field's type is the type of its value. Its `SettingSpec` has kind, texts, default and range, and
its topic. From these fields follow the schema (`schema()`, in the order of topics and fields), what
the file may hold (`store.py`) and the window's page (`topics()`). docs/dev/settings.md: how to add
one. Next: `image_settings.py` (those of the guest image), `setting.py`, `store.py`.
"""

from typing import Annotated, get_args, get_type_hints

from engine.settings import share_paths
from engine.settings.durations import DAY
from engine.settings.image_settings import ImageSettings
from engine.settings.setting import (
    GIB,
    MACHINE_RESTART,
    SUPERVISOR_RESTART,
    TIB,
    HostSize,
    Kind,
    Setting,
    SettingSpec,
    Topic,
)
from vm.errors import Problem

RESTART_BY = {
    MACHINE_RESTART: "galley restart",
    SUPERVISOR_RESTART: "galley restart --supervisor",
}


def _all_cpus(host: HostSize) -> int:
    return host.cpus


def _default_cpus(host: HostSize) -> int:
    return min(4, host.cpus)


def _all_memory(host: HostSize) -> int:
    return max(host.memory // GIB, 1) * GIB


def _default_memory(host: HostSize) -> int:
    """A quarter, at least 2 GiB where there are as many, and at most 8 GiB."""
    memory = _all_memory(host) // GIB
    return min(max(memory // 4, min(2, memory)), 8) * GIB


def _least_disk(host: HostSize) -> int:
    return max(8 * GIB, host.disk)


def _default_disk(host: HostSize) -> int:
    return max(64 * GIB, host.disk)


def _default_shares(_host: HostSize) -> tuple[str, ...]:
    return share_paths.default()


class Settings(ImageSettings, frozen=True):
    """All values at one moment. `problems`: what in the file cannot be used."""

    cpus: Annotated[
        int,
        SettingSpec(
            Topic.RESOURCES,
            Kind.COUNT,
            "CPUs",
            "Number of CPUs of the virtual machine.",
            default=_default_cpus,
            needs_restart=MACHINE_RESTART,
            minimum=1,
            maximum=_all_cpus,
        ),
    ]
    memory: Annotated[
        int,
        SettingSpec(
            Topic.RESOURCES,
            Kind.SIZE,
            "Memory",
            "Memory limit of the virtual machine.",
            default=_default_memory,
            needs_restart=MACHINE_RESTART,
            minimum=GIB,
            maximum=_all_memory,
        ),
    ]
    disk: Annotated[
        int,
        SettingSpec(
            Topic.RESOURCES,
            Kind.SIZE,
            "Disk size",
            "Disk usage limit for images, containers and volumes. It can be raised, but not "
            "lowered.",
            default=_default_disk,
            minimum=_least_disk,
            maximum=16 * TIB,
        ),
    ]
    backend: Annotated[
        str,
        SettingSpec(
            Topic.MACHINE,
            Kind.CHOICE,
            "Backend",
            "Program that runs the virtual machine.",
            default="auto",
            needs_restart=SUPERVISOR_RESTART,
            choices=("auto", "qemu", "fake"),
        ),
    ]
    accelerator: Annotated[
        str,
        SettingSpec(
            Topic.MACHINE,
            Kind.CHOICE,
            "Accelerator",
            "Acceleration of QEMU. auto selects the fastest that works here.",
            default="auto",
            needs_restart=MACHINE_RESTART,
            choices=("auto", "kvm", "hvf", "whpx", "tcg"),
        ),
    ]
    cpu_model: Annotated[
        str,
        SettingSpec(
            Topic.MACHINE,
            Kind.TEXT,
            "CPU model",
            "QEMU's name of the CPU model. auto selects one for the accelerator.",
            default="auto",
            needs_restart=MACHINE_RESTART,
        ),
    ]
    save_after: Annotated[
        int,
        SettingSpec(
            Topic.IDLE,
            Kind.DURATION,
            "Pause when idle for",
            "Pause the virtual machine after this much idle time. It resumes on first use.",
            default=300,
            maximum=DAY,
        ),
    ]
    save_busy: Annotated[
        bool,
        SettingSpec(
            Topic.IDLE,
            Kind.SWITCH,
            "Pause with idle containers",
            "Pause even if containers run, as long as they use no CPU. A connection to a "
            "published port resumes the virtual machine.",
            default=False,
        ),
    ]
    suspend_after: Annotated[
        int,
        SettingSpec(
            Topic.IDLE,
            Kind.DURATION,
            "Suspend to disk after",
            "Suspend the paused virtual machine to disk after this time, which frees its memory.",
            default=1800,
            maximum=DAY,
        ),
    ]
    suspend: Annotated[
        bool,
        SettingSpec(
            Topic.IDLE,
            Kind.SWITCH,
            "Suspend on stop",
            "Stopping the engine suspends the virtual machine to disk, so that it starts faster.",
            default=True,
        ),
    ]
    port_address: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.ADDRESS,
            "Address of published ports",
            "Host address for ports published without one, such as 8080:80. 0.0.0.0 accepts "
            "connections from other computers.",
            default="127.0.0.1",
        ),
    ]
    host_network_ports: Annotated[
        bool,
        SettingSpec(
            Topic.NETWORK,
            Kind.SWITCH,
            "Ports of the host network",
            "Ports of containers with --network host are reachable on this computer.",
            default=True,
        ),
    ]
    host_loopback: Annotated[
        bool,
        SettingSpec(
            Topic.NETWORK,
            Kind.SWITCH,
            "This computer's services",
            "Containers reach services on this computer's 127.0.0.1 as host.docker.internal.",
            default=True,
        ),
    ]
    local_names: Annotated[
        bool,
        SettingSpec(
            Topic.NETWORK,
            Kind.SWITCH,
            "DNS names of containers",
            "Containers on the same network resolve each other as NAME.galley.local.",
            default=False,
        ),
    ]
    proxy: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.CHOICE,
            "Proxy",
            "Proxy of the engine and containers: this computer's settings (system), those given "
            "here (manual), or none.",
            default="system",
            choices=("system", "manual", "none"),
        ),
    ]
    http_proxy: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.PROXY,
            "Proxy for HTTP",
            "Used if the proxy is set to manual. A password is stored in the keyring.",
            default="",
        ),
    ]
    https_proxy: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.PROXY,
            "Proxy for HTTPS",
            "Used if the proxy is set to manual. A password is stored in the keyring.",
            default="",
        ),
    ]
    no_proxy: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.HOSTS,
            "Bypass the proxy for",
            "Host names and addresses, if the proxy is set to manual. This computer is always "
            "bypassed.",
            default="",
        ),
    ]
    shares: Annotated[
        tuple[str, ...],
        SettingSpec(
            Topic.FILES,
            Kind.PATHS,
            "Shared folders",
            "Folders of this computer that containers can bind mount; ~ is your home folder. In "
            "folders of all users, such as /tmp, only your own files.",
            default=_default_shares,
            needs_restart=MACHINE_RESTART,
        ),
    ]
    read_only_shares: Annotated[
        tuple[str, ...],
        SettingSpec(
            Topic.FILES,
            Kind.PATHS,
            "Shared folders, read-only",
            "Folders that containers can bind mount, but not change.",
            default=(),
            needs_restart=MACHINE_RESTART,
        ),
    ]
    share_by: Annotated[
        str,
        SettingSpec(
            Topic.FILES,
            Kind.CHOICE,
            "File sharing implementation",
            "virtiofs is faster and needs virtiofsd; sftp works everywhere.",
            default="auto",
            needs_restart=MACHINE_RESTART,
            choices=("auto", "virtiofs", "sftp"),
        ),
    ]
    userns_remap: Annotated[
        bool,
        SettingSpec(
            Topic.DOCKER,
            Kind.SWITCH,
            "Remap container users",
            "Root in a container is an unprivileged user of the virtual machine. Images, "
            "containers and volumes of the other mode stay on its disk, hidden until you switch "
            "back.",
            default=False,
            needs_restart=MACHINE_RESTART,
        ),
    ]
    use_context: Annotated[
        bool,
        SettingSpec(
            Topic.DOCKER,
            Kind.SWITCH,
            "Docker context",
            "Create a docker context at first start, and select it if none is selected.",
            default=True,
        ),
    ]
    use_keyring: Annotated[
        bool,
        SettingSpec(
            Topic.DOCKER,
            Kind.SWITCH,
            "Logins in the keyring",
            "docker stores registry logins in the keyring instead of a plain file.",
            default=True,
        ),
    ]
    start_at_login: Annotated[
        bool,
        SettingSpec(
            Topic.LOGIN,
            Kind.SWITCH,
            "Start at login",
            "Start Galley without a window when you log in to this computer.",
            default=False,
            in_file=False,
        ),
    ]
    start_engine_at_login: Annotated[
        bool,
        SettingSpec(
            Topic.LOGIN,
            Kind.SWITCH,
            "Start the engine at login",
            "Start the engine as well when Galley starts at login.",
            default=False,
        ),
    ]
    problems: tuple[Problem, ...] = ()


def specs(settings: type[Settings]) -> tuple[tuple[str, SettingSpec], ...]:
    """The fields that are settings, each with its spec."""
    return tuple(
        (name, spec)
        for name, hint in get_type_hints(settings, include_extras=True).items()
        for spec in get_args(hint)[1:]
        if isinstance(spec, SettingSpec)
    )


SPECS = tuple(sorted(specs(Settings), key=lambda entry: list(Topic).index(entry[1].topic)))


def schema(host: HostSize) -> tuple[Setting, ...]:
    """Every setting with its default and range on this computer, in the order of topics."""
    return tuple(spec.setting(name, host) for name, spec in SPECS)


def topics() -> tuple[tuple[Topic, tuple[str, ...]], ...]:
    """The topics in the order of the window's page, each with the names of its settings."""
    return tuple(
        (topic, tuple(name for name, spec in SPECS if spec.topic is topic)) for topic in Topic
    )
