"""Messages about what the guest and its containers get: binds, shared folders, ports, proxies."""

from vm.messages import Message

BINDS_AFTER_RESTART = Message(
    "binds.after_restart",
    "The folder {folder} is not shared with Galley's virtual machine.",
    "It will be when the engine starts again: galley restart",
)
BINDS_COLON = Message(
    "binds.colon",
    "The folder {folder} is a link to {target}, and -v accepts no colon in a path.",
    "Use --mount instead: docker run --mount {mount}",
)
BINDS_IMPOSSIBLE = Message(
    "binds.impossible",
    "The folder {folder} cannot be shared.",
    "No folder has such a name.",
)
BINDS_MISSING = Message(
    "binds.missing",
    "The folder {folder} does not exist.",
    "Create it first, or bind mount it with -v.",
)
BINDS_NONE_SHARED = Message(
    "binds.none_shared",
    "The folder {folder} is not shared with Galley's virtual machine. {reason}",
    "{hint}",
)
BINDS_NOT_SHARED = Message(
    "binds.not_shared",
    "The folder {folder} is not shared with Galley's virtual machine.",
    "Share it, or a folder that contains it, then restart the engine: galley settings set shares "
    "{shares} && galley restart",
)
BINDS_OF_GALLEY = Message(
    "binds.of_galley",
    "The folder {folder} is not shared with Galley's virtual machine.",
    "Galley keeps its keys and sockets there. Use another folder.",
)
BINDS_OF_MACHINE = Message(
    "binds.of_machine",
    "The folder {folder} is not shared with Galley's virtual machine.",
    "The machine uses this path itself. Copy the folder to a shared one.",
)
BINDS_OF_OTHERS = Message(
    "binds.of_others",
    "The folder {folder} is not shared with Galley's virtual machine.",
    "{path} belongs to another user of this computer. Use a folder of your own.",
)
BINDS_UNREADABLE = Message(
    "binds.unreadable",
    "Galley cannot read the list of shared folders: {error}.",
    "Send the request as plain JSON in UTF-8.",
)

CERTIFICATES_ENDED = Message(
    "certificates.ended",
    "The certificate of {name} is not used: it ended on {ends}.",
    "Replace it in this computer's trust store by a new one, or remove it; then run `galley "
    "start`.",
)
CERTIFICATES_NONE_IN_FILE = Message(
    "certificates.none_in_file",
    "There is no certificate in {file}.",
    "It begins with -----BEGIN CERTIFICATE-----. Correct it; then run `galley start`.",
)
CERTIFICATES_NOT_TAKEN = Message(
    "certificates.not_taken",
    "The machine does not take the certificates that this computer trusts.",
    "Run `galley restart`.",
)
CERTIFICATES_REGISTRIES_NOT_TAKEN = Message(
    "certificates.registries_not_taken",
    "The machine does not take the certificates for single registries.",
    "Run `galley restart`.",
)
CERTIFICATES_REGISTRY_UNUSABLE = Message(
    "certificates.registry_unusable",
    "The registry certificate {file} cannot be used: {reason}.",
    "Correct it, or take it away; then run `galley start`.",
)

GUEST_DISK_ALMOST_FULL = Message(
    "guest_disk.almost_full",
    "The machine's data disk is almost full: pulls, builds and containers may fail.",
    "Delete what is not needed (`galley disk reclaim --prune`), or make the disk larger: `galley "
    "settings set disk`.",
)

GUEST_SETTINGS_HOST_LOOPBACK = Message(
    "guest_settings.host_loopback",
    "The machine does not change whether containers reach this computer's services.",
    "Run `galley restart`.",
)

HOST_DISK_FULL = Message(
    "host_disk.full",
    "This computer's disk is full. The virtual machine waits until space is available.",
    "Free some space on the disk that holds {folder}; the machine then continues automatically.",
)
HOST_DISK_REFUSES = Message(
    "host_disk.refuses",
    "Writes to this computer's disk fail. The virtual machine waits and retries.",
    "Check the disk that holds {folder}: it may be failing, or your quota on it may be used up.",
)

PORT_IMPOSSIBLE = Message(
    "port.impossible",
    "Ports of containers cannot be published on this computer.",
)
PORT_IPV6_ONLY = Message(
    "port.ipv6_only",
    "Port {port}/{protocol} of the container {container} cannot be reached from this computer: it "
    "listens on IPv6 only.",
    "Let it listen on 127.0.0.1 or 0.0.0.0 too.",
)
PORT_NONE_LEFT = Message(
    "port.none_left",
    "The machine has no port left for port {port}/{protocol} on {address}.",
    "Publish fewer ports, or publish them without an address.",
)
PORT_PUBLISHED_BY_CONTAINER = Message(
    "port.published_by_container",
    "Port {port}/{protocol} on {address} is already published by the container {container}.",
    "Stop that container, or publish this one on another port.",
)
PORT_PUBLISHED_BY_SERVICE = Message(
    "port.published_by_service",
    "Port {port}/{protocol} on {address} is already published by the service {service}.",
    "Remove that service, or choose another port.",
)
PORT_RULES_REFUSED = Message(
    "port.rules_refused",
    "The virtual machine rejected the rules that forward ports to containers.",
    "Galley tries again when the next container starts or ends. If that does not help: galley "
    "restart",
)

PROXY_BAD_ADDRESS = Message(
    "proxy.bad_address",
    "This computer's proxy for {protocol} is not used: its address is invalid.",
    "Correct it, or choose one for Galley: galley settings set proxy manual",
)
PROXY_NO_PASSWORD = Message(
    "proxy.no_password",
    "Galley has no password for the proxy {address}.",
    "Give its address again, with the password, in the settings or with: galley settings set "
    "http_proxy -",
)
PROXY_SILENT = Message(
    "proxy.silent",
    "The proxy {address} does not answer: {reason}.",
    "Start it, or choose another. Without a proxy: galley settings set proxy none",
)

SHARED_FOLDER_IMPOSSIBLE = Message(
    "shared_folder.impossible",
    "Folders of this computer cannot be shared with the machine.",
    "Copy what containers need into volumes.",
)
SHARED_FOLDER_NOT_MOUNTED = Message(
    "shared_folder.not_mounted",
    "The folder {folder} is not shared: the machine could not mount it.",
    "Try again: galley restart",
)
SHARED_FOLDER_NOT_YET = Message(
    "shared_folder.not_yet",
    "The folder {folder} is not shared yet.",
    "Restart the engine: galley restart. If that does not help, see `galley logs --component vm`.",
)
SHARED_FOLDER_SERVER_ENDED = Message(
    "shared_folder.server_ended",
    "The folder {folder} is no longer shared: the program that served it, virtiofsd, has ended.",
    "Containers that use it are blocked. Restart the engine: galley restart. If it ends again, "
    "see `galley logs --component vm`.",
)
