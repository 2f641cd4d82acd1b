"""Every difference between Galley and a native engine that is meant, with its reason.

`where` is a pattern for area/scenario/answer and what stands below it; `native` and `galley` stand
in the answers as JSON, so that another difference in the same place is still a failure. A reason
that explains nothing any more fails the suite. Next: `suite.py`, which applies it.
"""

from fnmatch import fnmatchcase

import msgspec

MISSING = "(no such answer)"


class Difference(msgspec.Struct, frozen=True):
    """`computer`: it depends on the computer that the suite runs on, so it may be unused."""

    where: str
    reason: str
    native: str = ""
    galley: str = ""
    computer: bool = False

    def explains(self, path: str, native: str, galley: str) -> bool:
        return fnmatchcase(path, self.where) and self.native in native and self.galley in galley


CGROUPS = "The guest's kernel has cgroups of version 2; that of this computer may have version 1."
POOL = "dockerd's own pool has the machine's network in it, so Galley names another one."
XATTR = "In shared folders the guest would ask for them at each write: 14 % more CPU."
TMPFILE = "virtiofsd 1.13 has no O_TMPFILE."
OF_ROOT = "A privileged container has what root of the computer has."
OOM = (
    "With cgroups of version 2, containerd's event of the kill may come after that of the exit "
    "(its issue 8180)."
)
LIMITS = "A native engine of a test has the limits of the program that started it, not its unit's."
IPV6 = "Inside the machine dockerd publishes on IPv4; Galley opens the port of [::] itself."
LOGS = "Logs of containers are bounded by default, for the machine's disk is."
UNREAD = "What Galley cannot read it refuses itself, for dockerd may be able to."
MTU = "No packet of a container needs to be cut small inside the machine, so frames are large."

DIFFERENCES = (
    Difference("info/info/OSVersion is there", "The guest is no release of Debian's.", "true"),
    Difference("info/info/info.LiveRestoreEnabled", "Containers outlive dockerd.", "false", "true"),
    Difference("info/info/info.Runtimes.crun", "crun is there for those who choose it.", MISSING),
    Difference("info/info/info.SecurityOptions*", CGROUPS, "", "cgroupns", computer=True),
    Difference("info/*Commit*", "A guest image has its own security updates.", computer=True),
    Difference("info/version_and_ping/runc*", "The same.", computer=True),
    Difference("info/version_and_ping/containerd*", "The same.", computer=True),
    Difference("info/info/info.OomKillDisable", CGROUPS, "true", "false", computer=True),
    Difference("info/info/info.KernelMemoryTCP", CGROUPS, "true", MISSING, computer=True),
    Difference("info/info/info.Runtimes.*runc*.features", "As for the commits.", computer=True),
    Difference("info/info/info.DriverStatus*", "The file system below it.", computer=True),
    Difference("info/words*/network bridge.Options.*.mtu", MTU, "1500", "31744"),
    Difference("networks/networks/*.Options.*.mtu", MTU, MISSING, "31744"),
    Difference("networks/published_ports/every: *", IPV6, "::"),
    Difference("networks/published_ports/random: *", IPV6, "::"),
    Difference("networks/a_range_and_udp/all.*", IPV6, "::"),
    Difference("images/bake/builder*", "An emulated CPU can do less.", "amd64", computer=True),
    Difference("containers/defaults/host.LogConfig.Config.max-*", LOGS, MISSING),
    Difference("streams/exec/privileged.out", OF_ROOT, "CapEff", "1ffffffffff", computer=True),
    Difference("streams/log_drivers/*: config.Config.max-*", LOGS, MISSING),
    Difference("containers/defaults/host.CgroupnsMode", CGROUPS, "host", "private", computer=True),
    Difference("*/inside: open files", LIMITS, "", "1048576\\n1048576", computer=True),
    Difference("*/inside: processes", LIMITS, "", "unlimited", computer=True),
    Difference("*/inside: core files", LIMITS, "", "unlimited", computer=True),
    Difference("limits/memory/*.OomKillDisable", CGROUPS, "false", "null", computer=True),
    Difference("limits/memory/*: state.OOMKilled", OOM, "true", "false", computer=True),
    Difference("errors/what_is_not_quite_http/*.message", UNREAD, "JSON", "cannot read"),
    Difference("errors/host*BlkioWeight*.status", CGROUPS, "201", "400", computer=True),
    Difference("errors/host*BlkioWeight*.message", CGROUPS, "", "from 10 to 1000", computer=True),
    Difference("errors/host*MemorySwappiness*", CGROUPS, "", "", computer=True),
    Difference("volumes/changes_from_both_sides/xattr.*", XATTR),
    Difference("volumes/changes_from_both_sides/tmpfile.*", TMPFILE),
    Difference("swarm/a_swarm/swarm.DefaultAddrPool", POOL, "null", "10.64.0.0/10"),
    Difference(
        "swarm/what_a_swarm_runs/service: ingress port",
        "Services share a port by IPVS, which this computer's kernel may not have.",
        "refused",
        "balanced",
        computer=True,
    ),
)
