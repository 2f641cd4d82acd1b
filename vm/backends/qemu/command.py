"""Builds QEMU's command line: a frozen `Launch` in, an argument list out. Pure; golden-tested.

Next: `launch.py`, which makes a Launch; `tests/golden/qemu`, the results. Not run yet: hvf (both),
whpx, kvm on arm64.
"""

from pathlib import PurePath

import msgspec

KERNEL, INITRAMFS, ROOT = "vmlinux", "initramfs", "root.qcow2"
NETDEV = "net"
DATA = "data"  # the data disk's node

# For every accelerator. Mounts and network namespaces wait for RCU grace periods, one after the
# other: expedited ones interrupt the few CPUs there are, and a start takes a twentieth less.
WORDS = (
    *("panic=-1", "quiet", "audit=0"),
    *("cryptomgr.notests", "random.trust_cpu=on", "rcupdate.rcu_expedited=1"),
)
# An emulated CPU does not speculate, so mitigations cost time there and protect nothing; on a real
# CPU they stay on, for containers of different trust share this kernel. TCG's clock is always
# steady, but on a slow host the kernel's check of it would fail. Clearing memory at its allocation
# is a twentieth of what the start of the daemons costs under TCG.
EMULATED_WORDS = ("mitigations=off", "tsc=reliable", "no_timer_check", "init_on_alloc=0")

# No AVX under TCG: emulating it is slower than the code that does without (8.2 s to a running
# engine against 9.6 s with "max"). Westmere is the oldest model with AES-NI and PCLMULQDQ, which
# ssh needs to be fast. With RDRAND the kernel has its entropy at once; without, the first mke2fs
# and ssh-keygen wait four seconds for it. WHPX has no "host", and may stop on newer models.
PLAIN_CPU = {"x86_64": "Westmere,+rdrand", "aarch64": "cortex-a72"}

# Each device of the chipset that is left out saves the guest a probe. When QEMU aborts, as it does
# on an unusable KVM, the guest's memory must not end up in a core file.
MACHINES = {
    "x86_64": "q35,dump-guest-core=off,usb=off,vmport=off,smbus=off,sata=off,i8042=off,hpet=off",
    "aarch64": "virt,dump-guest-core=off",
}
CONSOLES = {
    "x86_64": ("console=ttyS0", "8250.nr_uarts=1"),
    "aarch64": ("console=ttyAMA0",),
}
ACCELERATORS = {"tcg": "tcg,thread=multi,tb-size=256"}


class Launch(msgspec.Struct, frozen=True):
    """Everything that a QEMU command line depends on."""

    program: str
    system: str  # as platform.system(): Linux, Darwin, Windows
    arch: str  # x86_64 or aarch64
    accelerator: str  # kvm, hvf, whpx, tcg
    cpus: int
    memory_bytes: int
    image: PurePath
    data_disk: PurePath
    uuid: str
    ssh_port: int
    qmp_socket: PurePath
    events_socket: PurePath
    relay_socket: PurePath
    console_log: PurePath
    guest_options: tuple[str, ...] = ()
    cpu_model: str = "auto"
    share_sockets: tuple[PurePath, ...] = ()  # one of a virtiofsd for each shared folder, in order
    initramfs: PurePath | None = None  # None: the image's
    memory_file: PurePath | None = None  # the guest's memory; None: QEMU allocates it
    waits: bool = False  # for the state of a suspended machine (-incoming)


def arguments(launch: Launch) -> list[str]:
    """The command line of the machine."""
    return [
        *_computer(launch),
        *_kernel(launch, launch.guest_options),
        *_disks(launch),
        *_devices(launch),
        *_shares(launch),
        *_control(launch),
        *_confinement(launch),
        *(("-incoming", "defer", "-S") if launch.waits else ()),
    ]


def probe_arguments(launch: Launch) -> list[str]:
    """A guest with the same kernel and CPU that powers off at once; its console is on stdout."""
    return [
        *_computer(msgspec.structs.replace(launch, memory_file=None)),
        *_kernel(launch, ("galley.floor=1",)),
        *("-serial", "stdio"),
        *_confinement(launch),
    ]


def _computer(launch: Launch) -> list[str]:
    accelerator = ACCELERATORS.get(launch.accelerator, launch.accelerator)
    return [
        launch.program,
        *("-name", "galley"),
        *("-uuid", launch.uuid),
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none"),
        *("-machine", MACHINES[launch.arch]),
        *("-accel", accelerator),
        *("-cpu", _cpu(launch)),
        *("-smp", str(launch.cpus)),
        *("-m", f"{launch.memory_bytes >> 20}M"),
        *_memory(launch),
    ]


def _memory(launch: Launch) -> list[str]:
    """Shared: virtiofsd reads and writes it, and a suspend copies it
    (`vm/backends/qemu/state/suspend.py`)."""
    if launch.memory_file is None:
        return []
    size, path = launch.memory_bytes >> 20, _escaped(launch.memory_file)
    ram = f"memory-backend-file,id=ram,share=on,size={size}M,mem-path={path}"
    return ["-object", ram, "-machine", "memory-backend=ram"]


def _cpu(launch: Launch) -> str:
    if launch.cpu_model != "auto":
        return launch.cpu_model
    return "host" if launch.accelerator in ("kvm", "hvf") else PLAIN_CPU[launch.arch]


def _kernel(launch: Launch, options: tuple[str, ...]) -> list[str]:
    emulated = EMULATED_WORDS if launch.accelerator == "tcg" else ()
    words = (*CONSOLES[launch.arch], *WORDS, *emulated, *options)
    return [
        *("-kernel", str(launch.image / KERNEL)),
        *("-initrd", str(launch.initramfs or launch.image / INITRAMFS)),
        *("-append", " ".join(words)),
    ]


def _disks(launch: Launch) -> list[str]:
    """vda: the root, read-only. vdb: the data disk; discarded blocks become holes in the file."""
    root = {"driver": "file", "filename": str(launch.image / ROOT), "read-only": True}
    data = {"driver": "file", "filename": str(launch.data_disk), "discard": "unmap"}
    return [
        *_disk("root", {"driver": "qcow2", "file": root, "read-only": True}),
        *_disk(
            DATA,
            {"driver": "raw", "file": data, "discard": "unmap", "detect-zeroes": "unmap"},
            ",werror=stop",  # on a full host disk the guest is halted
        ),
    ]


def _disk(name: str, node: dict[str, object], more: str = "") -> list[str]:
    # JSON, not key=value: a comma in a path needs no escaping.
    text = msgspec.json.encode({"node-name": name, **node}).decode()
    return ["-blockdev", text, "-device", f"virtio-blk-pci,drive={name},serial=galley-{name}{more}"]


def _devices(launch: Launch) -> list[str]:
    forward = f"hostfwd=tcp:127.0.0.1:{launch.ssh_port}-:22"
    return [
        *("-netdev", f"user,id={NETDEV},{forward}"),
        *("-device", f"virtio-net-pci,netdev={NETDEV},romfile="),  # no option ROM: nothing boots it
        *("-object", "rng-builtin,id=rng"),
        *("-device", "virtio-rng-pci,rng=rng"),
        *("-device", "virtio-balloon-pci,free-page-reporting=on"),
        *("-chardev", f"socket,id=relay,path={_escaped(launch.relay_socket)},server=on,wait=off"),
        # The vCPU's thread that writes sends the data to the socket; the main loop is not woken.
        *("-device", "virtio-serial-pci,ioeventfd=off"),
        *("-device", "virtserialport,chardev=relay,name=galley.relay"),
    ]


def _shares(launch: Launch) -> list[str]:
    words = []
    for number, socket in enumerate(launch.share_sockets):
        tag = f"share{number}"
        words += ["-chardev", f"socket,id={tag},path={_escaped(socket)}"]
        words += ["-device", f"vhost-user-fs-pci,chardev={tag},tag={tag},queue-size=1024"]
    return words


def _control(launch: Launch) -> list[str]:
    """The console file, and QMP on a socket file in a directory that only its owner may enter.

    Windows: QEMU listens on AF_UNIX there too, and the profile's ACL guards the file. Loopback TCP
    would be open to every local user; a named pipe serves one client, once.
    """
    console = _escaped(launch.console_log)
    return [
        *("-chardev", f"file,id=console,path={console},append=on"),
        *("-serial", "chardev:console"),
        *_monitor("qmp", launch.qmp_socket),
        *_monitor("events", launch.events_socket),
    ]


def _monitor(name: str, socket: PurePath) -> list[str]:
    """QEMU serves one client at a time on each."""
    path = f"socket,id={name},path={_escaped(socket)},server=on,wait=off"
    return ["-chardev", path, "-mon", f"chardev={name},mode=control"]


def _confinement(launch: Launch) -> list[str]:
    """seccomp, Linux only; every distribution builds QEMU with it."""
    if launch.system != "Linux":
        return []
    denied = "obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    return ["-sandbox", f"on,{denied}"]


def _escaped(path: PurePath) -> str:
    return str(path).replace(",", ",,")
