"""Messages about requests to dockerd: containers, images, volumes, ports, registries."""

from vm.messages import Message

DOCKER_BAD_ADDRESS = Message(
    "docker.bad_address",
    "{url} is no address of an engine: {error}.",
    "Correct it with `docker context update`, for example to tcp://host:2376.",
)
DOCKER_CANCELLED = Message("docker.cancelled", "This was cancelled.")
DOCKER_HINT_CERTIFICATE_EXPIRED = Message(
    "docker.hint_certificate_expired",
    "The operator of the registry has to renew it, or this computer's clock is wrong.",
)
DOCKER_HINT_CERTIFICATE_UNKNOWN = Message(
    "docker.hint_certificate_unknown",
    "Add that authority to the trust store of this computer, then start Galley again.",
)
DOCKER_HINT_DENIED = Message(
    "docker.hint_denied",
    "Check the name of the image; if it is private, log in to its registry first.",
)
DOCKER_HINT_IMAGE_USED = Message(
    "docker.hint_image_used",
    "Remove container {what} first, or remove the image by force.",
)
DOCKER_HINT_NAME_USED = Message(
    "docker.hint_name_used",
    "Choose another name, or remove or rename the container that has it.",
)
DOCKER_HINT_NETWORK_USED = Message(
    "docker.hint_network_used",
    "Disconnect or remove the containers on this network first.",
)
DOCKER_HINT_NO_ARCHITECTURE = Message(
    "docker.hint_no_architecture",
    "This image does not exist for the engine's architecture.",
)
DOCKER_HINT_NO_IMAGE = Message("docker.hint_no_image", "Pull the image first.")
DOCKER_HINT_NO_PROGRAM = Message("docker.hint_no_program", "The image has no such program.")
DOCKER_HINT_NO_REGISTRY = Message(
    "docker.hint_no_registry",
    "Check the name before the first slash, and whether the engine reaches the network.",
)
DOCKER_HINT_NO_SOURCE = Message(
    "docker.hint_no_source",
    "Create the folder first, or share it with the engine.",
)
DOCKER_HINT_NO_SPACE = Message(
    "docker.hint_no_space",
    "The engine's disk is full. Remove what is not used, or give the disk more space.",
)
DOCKER_HINT_NO_TAG = Message(
    "docker.hint_no_tag",
    "The registry has no such tag. Check the name and the tag.",
)
DOCKER_HINT_NOT_RUNNING = Message("docker.hint_not_running", "Start the container first.")
DOCKER_HINT_PAUSED = Message("docker.hint_paused", "Resume the container first.")
DOCKER_HINT_PORT_PUBLISHED = Message(
    "docker.hint_port_published",
    "Port {what} is published by another container. Stop that one, or choose another host port.",
)
DOCKER_HINT_PORT_USED = Message(
    "docker.hint_port_used",
    "Something else uses port {what}. Choose another.",
)
DOCKER_HINT_PROXY = Message(
    "docker.hint_proxy",
    "Start the proxy, or choose another, or none, in the network settings.",
)
DOCKER_HINT_RUNNING = Message(
    "docker.hint_running",
    "Stop the container first, or remove it by force.",
)
DOCKER_HINT_VOLUME_USED = Message(
    "docker.hint_volume_used",
    "Remove the container that uses it first ({what}).",
)
DOCKER_NO_PROXY = Message("docker.no_proxy", "The proxy {host} cannot be reached: {reason}.")
DOCKER_NO_REGISTRY = Message(
    "docker.no_registry",
    "The registry {host} cannot be reached: {reason}.",
)
DOCKER_NOT_TRUSTED = Message(
    "docker.not_trusted",
    "The certificate of {host} is refused: {reason}.",
)
DOCKER_ODD_READING = Message(
    "docker.odd_reading",
    "The Docker Engine reported an invalid value.",
)
DOCKER_REFUSED = Message("docker.refused", "{said}", "{hint}")
DOCKER_REFUSED_SILENTLY = Message("docker.refused_silently", "The Docker Engine refused.")
DOCKER_SILENT = Message(
    "docker.silent",
    "The Docker Engine does not answer.",
    "See on the Engine page whether it runs.",
)
DOCKER_SILENT_LIST = Message("docker.silent_list", "The Docker Engine does not answer.")
DOCKER_STOPPED_SENDING = Message("docker.stopped_sending", "The Docker Engine stopped sending.")
DOCKER_STOPPED_SENDING_PATH = Message(
    "docker.stopped_sending_path",
    "The Docker Engine stopped sending {path}.",
    "Try again.",
)
DOCKER_TERMINAL_ENDED = Message("docker.terminal_ended", "The terminal has ended.")

IMAGE_BAD_NAME = Message(
    "image.bad_name",
    "{name} is not the name of an image.",
    "Write it as name, name:tag or registry/name:tag.",
)
IMAGE_FILE_DAMAGED = Message(
    "image.file_damaged",
    "{name} is damaged, or is not a tar file of images.",
    "Save or copy it again. To make an image of other files, import them.",
)
IMAGE_LAYER_GONE = Message(
    "image.layer_gone",
    "The files of this layer cannot be listed.",
    "Refresh the image: it may have been removed or replaced meanwhile.",
)
IMAGE_LAYER_ZSTD = Message(
    "image.layer_zstd",
    "The files of this layer cannot be listed.",
    "The layer is compressed in a way that Galley cannot read (zstd).",
)
IMAGE_LOGIN_UNREADABLE = Message(
    "image.login_unreadable",
    "The login for {name} could not be read.",
    "Unlock the keyring that has it, or log in to its registry again.",
)
IMAGE_NONE_IN_FILE = Message(
    "image.none_in_file",
    "{name} holds no image.",
    "Choose a file that was saved from images. To make an image of other files, import it.",
)

PATH_DEAD_LINK = Message(
    "path.dead_link",
    "{path} is a broken link.",
    "Remove the link.",
)
PATH_DISK_FULL = Message(
    "path.disk_full",
    "There is no space left on the disk that holds {path}.",
    "Free some space.",
)
PATH_IS_FOLDER = Message("path.is_folder", "{path} is a folder.", "Choose a file.")
PATH_NOT_READABLE = Message(
    "path.not_readable",
    "{path} is not a file that can be read.",
    "Choose another one.",
)
PATH_TOO_MUCH = Message(
    "path.too_much",
    "{path} has too many entries to list.",
    "Start the container, or open one of the folders in it.",
)
PATH_UNUSABLE = Message(
    "path.unusable",
    "{path} cannot be used: {reason}.",
    "Choose another file or folder, or change its permissions.",
)

PORT_OF_CONTAINER = Message(
    "port.of_container",
    "Port {port} is already published by the container {container}.",
    "Stop that container, or publish this one on another port.",
)

RECREATE_ENDED_AT_ONCE = Message(
    "recreate.ended_at_once",
    "It ended at once with exit code {code}.",
)
RECREATE_ENGINE_ENDED = Message(
    "recreate.engine_ended",
    "The Docker Engine has ended meanwhile.",
    "Start it and check again.",
)
RECREATE_FAILED = Message(
    "recreate.failed",
    "{name} could not be recreated, and is as it was before. {error}",
    "{hint}",
)
RECREATE_NOT_PUT_BACK = Message(
    "recreate.not_put_back",
    "{name} could not be recreated, nor fully restored: {error}",
    "The old container is kept as {aside} or {name}.",
)
RECREATE_REMOVED_AT_STOP = Message(
    "recreate.removed_at_stop",
    "{name} cannot be recreated: it is removed as soon as it stops.",
    "Run its image again.",
)

REGISTRY_LOGIN_REFUSED = Message(
    "registry.login_refused",
    "{server} does not take this login.",
    "Check the user name, and the password or token.",
)

SSH_BAD_ADDRESS = Message(
    "ssh.bad_address",
    "{address} is no address for ssh.",
    "Use the form ssh://user@host, without a password.",
)
SSH_CLOSED = Message("ssh.closed", "The connection to {name} was closed.")
SSH_FAILED = Message(
    "ssh.failed",
    "ssh cannot reach {name}: {reason}.",
    "Try `{command}` in a terminal.",
)
SSH_NO_ENGINE = Message(
    "ssh.no_engine",
    "ssh reaches {host}, but not its Docker Engine.",
    "Docker has to run there, and its socket {socket} has to be open to your user.",
)
SSH_NO_KEY = Message(
    "ssh.no_key",
    "{name} rejects every key that ssh offers.",
    "Try `{command}` in a terminal: it must work without a password. `ssh-add` gives a key to the "
    "agent.",
)
SSH_OTHER_HOST_KEY = Message(
    "ssh.other_host_key",
    "{name} shows another host key than the one that ssh knows.",
    "Another computer may answer in its place. If its key was replaced, `{command}` shows how to "
    "remove the old one.",
)
SSH_UNKNOWN_HOST_KEY = Message(
    "ssh.unknown_host_key",
    "ssh does not know the host key of {name} yet.",
    "Run `{command}` once in a terminal, compare the key that it shows, and try again.",
)
SSH_WINDOWS = Message(
    "ssh.windows",
    "Galley cannot reach {name}: the ssh of Windows has no sockets.",
    "Use `docker --context` in a terminal for this one.",
)

VOLUME_EXISTS = Message(
    "volume.exists",
    "There is a volume {name} already.",
    "Choose another name.",
)
VOLUME_NOT_A_TAR = Message(
    "volume.not_a_tar",
    "{name} is not a whole tar file.",
    "Choose another file. A volume that was there before may now hold a part of this one.",
)
VOLUME_PATH_GONE = Message(
    "volume.path_gone",
    "There is no {path} in {volume}.",
    "It may have been deleted.",
)
