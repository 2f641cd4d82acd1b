"""Every intended difference between Galley and a native engine, with its reason.

`where` is a pattern for area/scenario/answer and the path below it. `native` and `galley` must be
part of the answers' JSON, so that another difference in the same place still fails. A reason that
explains no difference fails the suite. Next: `suite.py`, which applies it.
"""

import os
from fnmatch import fnmatchcase

import msgspec

MISSING = "(no such answer)"


class Difference(msgspec.Struct, frozen=True):
    """`computer`: it depends on the computer that runs the suite, so it may be unused."""

    where: str
    reason: str
    native: str = ""
    galley: str = ""
    computer: bool = False

    def explains(self, path: str, native: str, galley: str) -> bool:
        return fnmatchcase(path, self.where) and self.native in native and self.galley in galley


CGROUPS = "The guest's kernel has cgroups of version 2; that of this computer may have version 1."
POOL = "dockerd's default pool contains the machine's network, so Galley sets another one."
XATTR = "In shared folders the guest would request them at each write: 14 % more CPU."
TMPFILE = "virtiofsd 1.13 has no O_TMPFILE."
OF_ROOT = "A privileged container has the capabilities of the computer's root."
OOM = (
    "With cgroups of version 2, containerd may send the OOM event after the exit event "
    "(containerd issue 8180)."
)
LIMITS = "The test's native dockerd has the limits of the process that started it, not of a unit."
IPV6 = "Inside the machine dockerd publishes on IPv4; Galley opens the port of [::] itself."
LOGS = "Containers' logs are rotated by default, because the machine's disk is limited."
UNREAD = "Galley refuses a request that it cannot parse, because dockerd might parse it."
MTU = "Inside the machine containers' packets need not be small, so frames are large."

DIFFERENCES: tuple[Difference, ...] = (
    Difference("info/info/OSVersion is there", "The guest is not a release of Debian.", "true"),
    Difference(
        "info/info/info.LiveRestoreEnabled",
        "Containers survive a stop of dockerd.",
        "false",
        "true",
    ),
    Difference(
        "info/info/info.Runtimes.crun", "crun is installed as an optional runtime.", MISSING
    ),
    Difference("info/info/info.SecurityOptions*", CGROUPS, "", "cgroupns", computer=True),
    Difference("info/*Commit*", "A guest image has its own security updates.", computer=True),
    Difference("info/version_and_ping/runc*", "The same.", computer=True),
    Difference("info/version_and_ping/containerd*", "The same.", computer=True),
    Difference("info/info/info.OomKillDisable", CGROUPS, "true", "false", computer=True),
    Difference("info/info/info.KernelMemoryTCP", CGROUPS, "true", MISSING, computer=True),
    Difference("info/info/info.Runtimes.*runc*.features", "As for the commits.", computer=True),
    Difference("info/info/info.DriverStatus*", "The file system below differs.", computer=True),
    Difference("info/the_docker_command_line/network bridge.Options.*.mtu", MTU, "1500", "31744"),
    Difference("networks/networks/*.Options.*.mtu", MTU, MISSING, "31744"),
    Difference("networks/published_ports/every: *", IPV6, "::"),
    Difference("networks/published_ports/random: *", IPV6, "::"),
    Difference("networks/a_range_and_udp/all.*", IPV6, "::"),
    Difference(
        "images/bake/builder*", "An emulated CPU has fewer features.", "amd64", computer=True
    ),
    Difference("containers/defaults/host.LogConfig.Config.max-*", LOGS, MISSING),
    Difference("streams/exec/privileged.out", OF_ROOT, "CapEff", "1ffffffffff", computer=True),
    Difference("streams/log_drivers/*: config.Config.max-*", LOGS, MISSING),
    Difference("containers/defaults/host.CgroupnsMode", CGROUPS, "host", "private", computer=True),
    Difference("*/inside: open files", LIMITS, "", "1048576\\n1048576", computer=True),
    Difference("*/inside: processes", LIMITS, "", "unlimited", computer=True),
    Difference("*/inside: core files", LIMITS, "", "unlimited", computer=True),
    Difference("limits/memory/*.OomKillDisable", CGROUPS, "false", "null", computer=True),
    Difference("limits/memory/*: state.OOMKilled", OOM, "true", "false", computer=True),
    Difference("errors/malformed_requests/*.message", UNREAD, "JSON", "cannot read"),
    Difference("errors/host*BlkioWeight*.status", CGROUPS, "201", "400", computer=True),
    Difference("errors/host*BlkioWeight*.message", CGROUPS, "", "from 10 to 1000", computer=True),
    Difference("errors/host*MemorySwappiness*", CGROUPS, "", "", computer=True),
    Difference("volumes/changes_from_both_sides/xattr.*", XATTR),
    Difference("volumes/changes_from_both_sides/tmpfile.*", TMPFILE),
    Difference("swarm/a_swarm/swarm.DefaultAddrPool", POOL, "null", "10.64.0.0/10"),
    Difference(
        "swarm/services_secrets_and_stacks/service: ingress port",
        "Services share a port by IPVS, which this computer's kernel may not have.",
        "refused",
        "balanced",
        computer=True,
    ),
)
LATEST = (
    Difference(
        "networks/names/gateway.*",
        "Docker Engine 28.5 loses host-gateway-ip when it reloads, which Galley has it do before a "
        "swarm, so also before the other scenarios' requests about swarms.",
        computer=True,
    ),
)
if os.environ.get("GALLEY_TEST_CHANNEL") == "latest":
    DIFFERENCES += LATEST
