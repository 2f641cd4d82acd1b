"""Messages of the checks of `galley diagnose`."""

from vm.messages import Message

DIAGNOSE_CLOCK_AHEAD = Message(
    "diagnose.clock_ahead",
    "The machine's clock is {seconds:.0f} s ahead.",
    "Run `galley restart`.",
)
DIAGNOSE_CLOCK_BEHIND = Message(
    "diagnose.clock_behind",
    "The machine's clock is {seconds:.0f} s behind.",
    "Run `galley restart`.",
)
DIAGNOSE_DOCKER_HOST = Message(
    "diagnose.docker_host",
    "DOCKER_HOST points docker at {given}, not at Galley.",
    "Unset it, or use `galley docker …`.",
)
DIAGNOSE_EMULATED = Message(
    "diagnose.emulated",
    "The machine is emulated, which makes it five to ten times slower.",
    "{reason} Turn on virtualization in the firmware's settings, and give your user access to it "
    "(Linux: the group of /dev/kvm).",
)
DIAGNOSE_ENDPOINT_SILENT = Message(
    "diagnose.endpoint_silent",
    "Nothing answers on {socket}.",
    "`galley logs --component engine` shows the log of dockerd; `galley restart` restarts it.",
)
DIAGNOSE_MEMORY = Message(
    "diagnose.memory",
    "The machine can use {wanted:size} of memory, but only {free:size} are free now.",
    "Close some programs, or give it less: `galley settings set memory 2GiB`.",
)
DIAGNOSE_IMAGE_CVES = Message(
    "diagnose.image_cves",
    "Newer packages fix {count} known vulnerabilities of the guest image.",
    "Update it: galley image update",
    one="Newer packages fix {count} known vulnerability of the guest image.",
    count="count",
)
DIAGNOSE_IMAGE_WAITS = Message(
    "diagnose.image_waits",
    "A newer guest image, with the packages of {date}, is not in use yet.",
    "Use it: galley restart",
)
DIAGNOSE_NO_CLOCK = Message("diagnose.no_clock", "The machine does not report its time.")
DIAGNOSE_NO_DOCKER = Message(
    "diagnose.no_docker",
    "There is no docker program on this computer.",
    "Use `galley docker …`, which runs the one in the machine, or install a docker client.",
)
DIAGNOSE_NO_SUPERVISOR = Message(
    "diagnose.no_supervisor",
    "The machine runs, but Galley's background process does not: docker cannot reach it.",
    "Run `galley start`: containers are not touched.",
)
DIAGNOSE_OTHER_CONTEXT = Message(
    "diagnose.other_context",
    "Docker uses another context than Galley's.",
    "Run `docker context use {name}`, or use `galley docker …`.",
)
DIAGNOSE_SPACE = Message(
    "diagnose.space",
    "Only {free:size} are free on the disk that holds {folder}.",
    "Free some space: `galley docker system prune` removes what no container uses.",
)
