"""Messages about this computer: ports, programs, disks, and the home."""

from vm.messages import Message

CERTIFICATES_UNREADABLE = Message(
    "certificates.unreadable",
    "The certificates that this computer trusts cannot be read: {error}.",
    "The machine uses its own. Correct SSL_CERT_FILE or the file it names, then run: galley "
    "restart --supervisor",
)

COMMAND_TIMED_OUT = Message("command.timed_out", "{command} did not end within {seconds:g} s.")

DISK_COPY_TOO_LARGE = Message(
    "disk.copy_too_large",
    "A copy of the data disk needs {needed:size}, and {free:size} are free.",
    "Free some space on the disk that holds {folder}, or delete a snapshot.",
)
DISK_FULL = Message(
    "disk.full",
    "There is no space left on the disk that holds {root}.",
    "Free some space",
)

HOME_NOT_OURS = Message(
    "home.not_ours",
    "Galley cannot use {root}: {reason}.",
    "Only your user may own and change Galley's files: remove what is not yours, or set "
    "GALLEY_HOME to another directory.",
)
HOME_NOT_WRITABLE = Message(
    "home.not_writable",
    "Galley cannot use {root}: {reason}.",
    "Set GALLEY_HOME to a directory that you can write to.",
)
HOME_PATH_TOO_LONG = Message(
    "home.path_too_long",
    "The path {root} is too long for a socket.",
    "Set GALLEY_HOME to a shorter path.",
)

IDS_LEND = Message(
    "ids.lend",
    "Add some: sudo usermod {options} $USER && galley restart",
)
IDS_NO_NEWUIDMAP = Message(
    "ids.no_newuidmap",
    "Install newuidmap (Debian: uidmap); then: galley restart",
)
IDS_NOT_LENT = Message(
    "ids.not_lent",
    "Containers that do not run as root cannot write to shared folders: your user has no "
    "subordinate IDs.",
    "{hint}",
)
IDS_RETRY = Message("ids.retry", "Try again: galley restart")
IDS_UNSHARE_TOO_OLD = Message(
    "ids.unshare_too_old",
    "Its unshare is missing or too old: install util-linux 2.38 or later; then: galley restart",
)

PORT_FOR_ADMINISTRATOR = Message(
    "port.for_administrator",
    "Port {port}/{protocol} on {address} is reserved for the administrator.",
    "Publish the container on port 1024 or higher; on Linux, net.ipv4.ip_unprivileged_port_start "
    "sets the first port open to all users.",
)
PORT_FORWARDER_FAILED = Message(
    "port.forwarder_failed",
    "Galley's process that carries ports on IPv6 addresses does not work.",
    "Start the engine again: galley restart",
)
PORT_HOLDER = Message("port.holder", "{program} (pid {pid})")
PORT_HOLDER_HIDDEN = Message("port.holder_hidden", "another program")
PORT_IN_USE = Message(
    "port.in_use",
    "Port {port}/{protocol} on {address} is already in use by {holder}.",
    "Stop that program, or publish the container on another port.",
)
PORT_IPV4_ONLY = Message(
    "port.ipv4_only",
    "Port {port} cannot be published on {address}: QEMU forwards IPv4 only.",
    "Publish it on an IPv4 address, such as 127.0.0.1 or 0.0.0.0.",
)
PORT_KEPT_BY_WINDOWS = Message(
    "port.kept_by_windows",
    "Port {port}/{protocol} on {address} is reserved by Windows.",
    "Publish the container on another port. Ranges reserved by Windows: netsh interface ipv4 "
    "show excludedportrange protocol={protocol}",
)
PORT_NOT_PUBLISHED = Message(
    "port.not_published",
    "Port {port}/{protocol} on {address} cannot be published.",
    "Check that the address belongs to this computer.",
)

TOOL_MISSING = Message("tool.missing", "The program {name} was not found.")
TOOL_NOT_INSTALLED = Message("tool.not_installed", "The program {name} was not found.", "{hint}")
