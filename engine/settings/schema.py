"""Every setting there is: one field of `Settings`, which says all that there is to say of it.

The field's type is the type of its value. Its `SettingSpec` has kind, texts, default and range, and
its topic. From these fields follow the schema (`schema()`, in the order of the fields), what the
file may hold (`store.py`) and the window's page (`topics()`). docs/dev/settings.md: how to add one.
Next: `setting.py`, `store.py`.
"""

from typing import Annotated, get_args, get_type_hints

import msgspec

from engine.settings import share_paths
from engine.settings.durations import DAY
from engine.settings.setting import GIB, TIB, HostSize, Kind, Setting, SettingSpec, Topic
from vm.errors import Problem

MACHINE_RESTART = "The virtual machine gets it when it starts."
SUPERVISOR_RESTART = "It is chosen once at start-up."
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


class Settings(msgspec.Struct, frozen=True):
    """All values at one moment. `problems`: what the file says and could not be used."""

    cpus: Annotated[
        int,
        SettingSpec(
            Topic.RESOURCES,
            Kind.COUNT,
            "CPUs",
            "How many CPUs the virtual machine has.",
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
            "The most memory that the virtual machine may take.",
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
            "The most that images, containers and volumes may take; it grows, but never shrinks.",
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
            "What runs the virtual machine.",
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
            "How QEMU runs the guest; auto takes the fastest that works here.",
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
            "Which CPU the guest sees, in QEMU's words; auto fits the accelerator.",
            default="auto",
            needs_restart=MACHINE_RESTART,
        ),
    ]
    channel: Annotated[
        str,
        SettingSpec(
            Topic.MACHINE,
            Kind.CHOICE,
            "Image channel",
            "Which Docker Engine the guest image carries: stable, or the newest.",
            default="stable",
            needs_restart=MACHINE_RESTART,
            choices=("stable", "latest"),
        ),
    ]
    save_after: Annotated[
        int,
        SettingSpec(
            Topic.IDLE,
            Kind.DURATION,
            "Save resources after",
            "How long nobody has to use the engine until its virtual machine is paused. It wakes "
            "by itself.",
            default=300,
            maximum=DAY,
        ),
    ]
    save_busy: Annotated[
        bool,
        SettingSpec(
            Topic.IDLE,
            Kind.SWITCH,
            "Save with containers that idle",
            "Pause it even while containers run, if they use no CPU. Who comes to a port wakes it.",
            default=False,
        ),
    ]
    suspend_after: Annotated[
        int,
        SettingSpec(
            Topic.IDLE,
            Kind.DURATION,
            "Free its memory after",
            "How long it stays paused until it is kept on disk, and its memory is given back.",
            default=1800,
            maximum=DAY,
        ),
    ]
    suspend: Annotated[
        bool,
        SettingSpec(
            Topic.IDLE,
            Kind.SWITCH,
            "Suspend instead of powering off",
            "When the engine is stopped, keep it on the disk as it is, so that it starts at once.",
            default=True,
        ),
    ]
    port_address: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.ADDRESS,
            "Address of published ports",
            "Where -p 8080:80 listens on this host; 0.0.0.0 lets other computers in.",
            default="127.0.0.1",
        ),
    ]
    host_network_ports: Annotated[
        bool,
        SettingSpec(
            Topic.NETWORK,
            Kind.SWITCH,
            "Ports of the host network",
            "Make what containers with --network host listen on reachable on this computer.",
            default=True,
        ),
    ]
    host_loopback: Annotated[
        bool,
        SettingSpec(
            Topic.NETWORK,
            Kind.SWITCH,
            "This computer's services",
            "Let containers reach what listens on this computer's 127.0.0.1, as "
            "host.docker.internal.",
            default=True,
        ),
    ]
    local_names: Annotated[
        bool,
        SettingSpec(
            Topic.NETWORK,
            Kind.SWITCH,
            "Names of containers",
            "Let containers find each other as NAME.galley.local, where they share a network.",
            default=False,
        ),
    ]
    proxy: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.CHOICE,
            "Proxy",
            "What the engine and containers reach the network by: this computer's own proxy "
            "settings, those given here, or no proxy.",
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
            "Used where the proxy is set to manual. A password is kept in the keyring.",
            default="",
        ),
    ]
    https_proxy: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.PROXY,
            "Proxy for HTTPS",
            "Used where the proxy is set to manual. A password is kept in the keyring.",
            default="",
        ),
    ]
    no_proxy: Annotated[
        str,
        SettingSpec(
            Topic.NETWORK,
            Kind.HOSTS,
            "Reached without the proxy",
            "Names and addresses, where the proxy is set to manual; this computer is one anyway.",
            default="",
        ),
    ]
    shares: Annotated[
        tuple[str, ...],
        SettingSpec(
            Topic.FILES,
            Kind.PATHS,
            "Shared folders",
            "Which folders of this computer containers may be given with -v; ~ is your home. In "
            "folders for everybody, such as /tmp, only what is yours.",
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
            "Folders that containers may read and not change.",
            default=(),
            needs_restart=MACHINE_RESTART,
        ),
    ]
    share_by: Annotated[
        str,
        SettingSpec(
            Topic.FILES,
            Kind.CHOICE,
            "Share folders by",
            "virtiofs is the faster, and a program of its own; sftp works everywhere.",
            default="auto",
            needs_restart=MACHINE_RESTART,
            choices=("auto", "virtiofs", "sftp"),
        ),
    ]
    use_context: Annotated[
        bool,
        SettingSpec(
            Topic.DOCKER,
            Kind.SWITCH,
            "Docker context",
            "Make a docker context at first start, and make it current where you have none.",
            default=True,
        ),
    ]
    use_keyring: Annotated[
        bool,
        SettingSpec(
            Topic.DOCKER,
            Kind.SWITCH,
            "Logins in the keyring",
            "Let docker keep registry logins in the keyring, where it would use a plain file.",
            default=True,
        ),
    ]
    start_at_login: Annotated[
        bool,
        SettingSpec(
            Topic.LOGIN,
            Kind.SWITCH,
            "Start at login",
            "Start Galley, with its window closed, when you log in to this computer.",
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
            "Start the engine, too, when Galley starts at login.",
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


SPECS = specs(Settings)


def schema(host: HostSize) -> tuple[Setting, ...]:
    """Every setting with its default and range on this computer, in the order of the fields."""
    return tuple(spec.setting(name, host) for name, spec in SPECS)


def topics() -> tuple[tuple[Topic, tuple[str, ...]], ...]:
    """The topics in the order of the window's page, each with the names of its settings."""
    return tuple(
        (topic, tuple(name for name, spec in SPECS if spec.topic is topic)) for topic in Topic
    )
