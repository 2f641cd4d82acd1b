"""The content of the guest but the engine: packages, programs, kernel modules.

Programs are listed one by one and their libraries follow, so that nothing is in the guest by
accident. A program that a suite no longer has is an error with its name. Next: `channels.py` (the
engine), `build.py` (the steps).
"""

import hashlib
import platform
from pathlib import Path

from engine.guest.channels import ENGINES, Channel

FILES = Path(__file__).parent / "files"
FORMAT = "1"  # raise it when the steps change in a way that the files do not show

ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

PACKAGES = (
    "apparmor",
    "busybox-static",
    "ca-certificates",
    "crun",
    "dnsmasq-base",
    "e2fsprogs",
    "iproute2",
    "iptables",
    "jq",
    "netbase",
    "netcat-openbsd",
    "nftables",
    "openssh-server",
    "qemu-guest-agent",
    "sshfs",
)

PROGRAMS = (
    # beside the engine
    "usr/bin/crun",
    "usr/sbin/xtables-legacy-multi",
    "usr/sbin/iptables-legacy",
    "usr/sbin/iptables-legacy-restore",
    "usr/sbin/iptables-legacy-save",
    "usr/sbin/ip6tables-legacy",
    "usr/sbin/ip6tables-legacy-restore",
    "usr/sbin/ip6tables-legacy-save",
    "usr/sbin/tc",
    "usr/sbin/nft",
    # the resolver for containers
    "usr/sbin/dnsmasq",
    # dockerd loads its AppArmor profile by it
    "usr/sbin/apparmor_parser",
    # ssh, and QEMU's guest agent
    "usr/sbin/sshd",
    "usr/lib/openssh/sshd-session",
    "usr/lib/openssh/sshd-auth",
    "usr/lib/openssh/sftp-server",
    "usr/bin/ssh-keygen",
    "usr/sbin/qemu-ga",
    # disks and shares
    "usr/sbin/mke2fs",
    "usr/sbin/e2fsck",
    "usr/sbin/resize2fs",
    "usr/bin/sshfs",
    "usr/bin/fusermount3",
    # the rest
    "usr/bin/busybox",
    "usr/bin/jq",
    "usr/bin/nc.openbsd",
)

# Found at run time by dlopen: patterns below the libraries' directory.
PLUGINS = ("xtables/lib*.so", "libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2")

DATA = (
    "usr/share/ca-certificates/mozilla/*.crt",
    "etc/protocols",
    "etc/services",
    "etc/ssl/openssl.cnf",
    "usr/lib/ssl/openssl.cnf",
)

# Names in the image's /usr and what they point to.
LINKS = {
    "sbin/init": "../bin/busybox",
    "sbin/modprobe": "../bin/busybox",  # the path at which the kernel starts it
    "sbin/iptables": "xtables-legacy-multi",
    "sbin/iptables-restore": "xtables-legacy-multi",
    "sbin/iptables-save": "xtables-legacy-multi",
    "sbin/ip6tables": "xtables-legacy-multi",
    "sbin/ip6tables-restore": "xtables-legacy-multi",
    "sbin/ip6tables-save": "xtables-legacy-multi",
    "sbin/mkfs.ext4": "mke2fs",
    "sbin/fsck.ext4": "e2fsck",
    "bin/nc": "nc.openbsd",
    "bin/mount.fuse.sshfs": "sshfs",
    "sbin/mount.fuse.sshfs": "../bin/sshfs",
}

# The skeleton of the root in memory.
DIRECTORIES = (
    "dev",
    "home",
    "mnt",
    "opt",
    "proc",
    "root",
    "run/containerd",
    "run/galley",
    "run/lock",
    "run/root",
    "run/sshd",
    "run/tmp",
    "srv",
    "sys",
    "tmp",
    "var/cache",
    "var/lib/containerd",
    "var/lib/docker",
    "var/lib/galley-data",
    "var/log",
)
SKELETON_LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "etc/docker": "/var/lib/galley-data/etc-docker",
    "etc/mtab": "/proc/self/mounts",
    "etc/resolv.conf": "/run/resolv.conf",
    "var/run": "/run",
    "var/tmp": "/tmp",
}

# Loaded before the root is mounted, in this order, each after the modules it needs.
EARLY_MODULES = ("virtio_blk", "erofs")

# Loaded at every start, while the services start: every start of dockerd uses them.
BOOT_MODULES = (
    "overlay",
    "veth",
    "bridge",
    "br_netfilter",
    "ip_tables",
    "iptable_filter",
    "iptable_nat",
    "nf_conntrack_netlink",
    "xt_addrtype",
    "xt_conntrack",
    "xt_MASQUERADE",
    "xt_nat",
    "xt_tcpudp",
    "xfrm_user",
)

# In the image, by name patterns; those above are loaded at a start, the others on demand. Which are
# left out, and why: docs/dev/guest-image.md.
MODULES = (
    *EARLY_MODULES,
    *BOOT_MODULES,
    "virtio_*",
    "virtiofs",
    "evdev",
    "button",
    "loop",
    "dummy",
    "ifb",
    "macvlan",
    "ipvlan",
    "tun",
    "tap",
    "vxlan",
    "wireguard",
    "8021q",
    # Encrypted overlay networks. Kernel 6.12 has ctr built in, and 7.2 what ghash_generic is.
    *("esp4", "ctr", "gcm", "seqiv", "ghash_generic"),
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_nfct",
    "ip_set*",
    "ip6_tables",
    "ip6table_*",
    "ip6t_*",
    "ip6_udp_tunnel",
    "iptable_*",
    "ipt_*",
    *("nf_conncount", "nf_conntrack", "nf_conntrack_bridge", "nf_conntrack_netlink", "nf_nat"),
    *("nf_conntrack_ftp", "nf_conntrack_tftp", "nf_nat_ftp", "nf_nat_tftp"),
    *("nf_defrag_*", "nf_dup_*", "nf_flow_table*", "nf_log_syslog", "nf_reject_*"),
    *("nf_socket_*", "nf_synproxy_core", "nf_tables", "nf_tproxy_*"),
    "nft_*",
    "nfnetlink*",
    "xt_*",
    *("sch_codel", "sch_fq", "sch_fq_codel", "sch_htb", "sch_ingress"),
    *("sch_netem", "sch_prio", "sch_sfq", "sch_tbf"),
    *("cls_bpf", "cls_flower", "cls_fw", "cls_matchall", "cls_u32"),
    *("act_bpf", "act_csum", "act_gact", "act_mirred", "act_nat", "act_pedit"),
    *("act_police", "act_skbedit", "act_vlan"),
    "rng-core",
    "inet_diag",
    "tcp_diag",
    "udp_diag",
    "squashfs",
    "isofs",
    "nfsv4",
    "cifs",
)


def architecture() -> str:
    """Debian's name of the architecture that this computer runs as a guest."""
    return ARCHITECTURES.get(platform.machine(), "amd64")


def content_files() -> tuple[Path, ...]:
    """Every file that determines the image: this package's code and the guest's files."""
    code = [path for path in FILES.parent.glob("*.py") if path.name != "__init__.py"]
    return tuple(sorted([*code, *(path for path in FILES.rglob("*") if path.is_file())]))


def compiler(arch: str) -> str:
    """The C compiler for the guest: this computer's, or Debian's for another architecture."""
    return "cc" if arch == architecture() else f"{TRIPLETS[arch]}-gcc"


def recipe_hash(channel: Channel = Channel.STABLE, arch: str | None = None) -> str:
    """Changes whenever the image would: with any file of the guest, the lists above, the steps."""
    digest = hashlib.sha256()
    for word in (FORMAT, ENGINES[channel].suite, channel, arch or architecture()):
        digest.update(word.encode() + b"\0")
    for path in content_files():
        digest.update(path.relative_to(FILES.parent).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
