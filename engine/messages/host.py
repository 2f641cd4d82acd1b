"""Messages about this computer: autostart, the docker CLI, the keyring, file events."""

from vm.messages import Message

AUTOSTART_ANOTHER = Message(
    "autostart.another",
    "What starts at login is not this Galley: {command}.",
    "Let this Galley start with `galley settings set start_at_login true`, or none with `galley "
    "settings set start_at_login false`.",
)
AUTOSTART_CANNOT_CHANGE = Message(
    "autostart.cannot_change",
    "Start at login cannot be changed: {reason}.",
    "Make {place} writable for your user, then try again.",
)
AUTOSTART_COMMAND_TOO_LONG = Message(
    "autostart.command_too_long",
    "The command that is to start at login has {length} characters; Windows takes {longest}.",
    "Put Galley into a folder with a shorter path.",
)
AUTOSTART_TURNED_OFF = Message(
    "autostart.turned_off",
    "The desktop's own settings keep Galley from starting at login.",
    "Let this Galley start with `galley settings set start_at_login true`, or none with `galley "
    "settings set start_at_login false`.",
)
AUTOSTART_UNREADABLE = Message(
    "autostart.unreadable",
    "What starts at login cannot be read from {place}: {reason}.",
    "Let this Galley start with `galley settings set start_at_login true`, or none with `galley "
    "settings set start_at_login false`.",
)

DOCKER_CLI_BAD_CONFIG = Message(
    "docker_cli.bad_config",
    "Docker's file {file} cannot be used: {error}.",
    "Correct it, or stop Galley from changing it: `galley settings set use_context false`, and "
    "the same for use_keyring.",
)
DOCKER_CLI_CONFIG_LOCKED = Message(
    "docker_cli.config_locked",
    "Another Galley process keeps Docker's file {file} locked.",
    "Try again.",
)
DOCKER_CLI_FOREIGN_CONTEXT = Message(
    "docker_cli.foreign_context",
    "The docker context {name} is not Galley's: it points at {address}.",
    "Galley leaves it alone. To use it here, run `docker context rm {name}` and restart.",
)
DOCKER_CLI_NO_ADDRESS = Message("docker_cli.no_address", "no address")

FILE_EVENTS_MACHINE_SILENT = Message(
    "file_events.machine_silent",
    "Containers are not notified of file changes on this computer: the machine does not answer.",
    "Try again: galley restart",
)
FILE_EVENTS_NO_WATCHES = Message(
    "file_events.no_watches",
    "Containers are not notified of file changes on this computer: your user has reached Linux's "
    "limit of watches.",
    "Raise its limit: sudo sysctl fs.inotify.max_user_instances=1024",
)
FILE_EVENTS_TOO_MANY = Message(
    "file_events.too_many",
    "Containers are notified of only some file changes on this computer: they use more folders "
    "than Galley can watch.",
    "Raise Linux's limit, of which Galley uses half, then start the container again: sudo sysctl "
    "fs.inotify.max_user_watches=1048576",
)

KEYRING_HELPER_FAILED = Message("keyring.helper_failed", "docker-credential-{store} failed.")
KEYRING_HELPER_SAID = Message("keyring.helper_said", "{said}")
KEYRING_LOCKED = Message(
    "keyring.locked",
    "The keyring is locked.",
    "Unlock it, which logging in to the desktop does, then try again.",
)
KEYRING_LOGIN_TOO_LONG = Message(
    "keyring.login_too_long",
    "This secret is too long for the Credential Manager of Windows.",
    "Use a shorter password or token. Docker stores long ones in its own plain file after "
    "`galley settings set use_keyring false`.",
)
KEYRING_NONE = Message(
    "keyring.none",
    "There is no keyring on this computer to keep secrets in.",
    "Install a Secret Service such as gnome-keyring and log in to the desktop again, or name a "
    "keyring of yours in PYTHON_KEYRING_BACKEND. Without one, docker keeps logins in its own "
    "plain file after `galley settings set use_keyring false`, and Galley takes a proxy's "
    "password from HTTP_PROXY and HTTPS_PROXY after `galley settings set proxy system`.",
)
KEYRING_PROXY_TOO_LONG = Message(
    "keyring.proxy_too_long",
    "This secret is too long for the Credential Manager of Windows.",
    "Put the proxy's address with its password into HTTP_PROXY and HTTPS_PROXY, which Galley uses "
    "after `galley settings set proxy system`.",
)
KEYRING_REFUSED = Message(
    "keyring.refused",
    "The keyring refused: {error}.",
    "Open it with its own program, for example Passwords and Keys, then try again.",
)
KEYRING_SILENT = Message(
    "keyring.silent",
    "The keyring has not answered for {seconds:g} s.",
    "It may wait for its password in a window of its own. Unlock it, then try again.",
)
KEYRING_WINDOWS_FULL = Message(
    "keyring.windows_full",
    "The Credential Manager of Windows has no room for the list of one more login.",
    "Log out of registries that you no longer use, then try again.",
)

LOGINS_HELPER_NOT_FOUND = Message(
    "logins.helper_not_found",
    "Docker does not find the program {program}, which stores logins in the keyring.",
    "Put a link to {link} into a folder that is in PATH everywhere, for example /usr/local/bin; "
    "or do without: `galley settings set use_keyring false`.",
)
LOGINS_NOT_LISTED = Message(
    "logins.not_listed",
    "docker-credential-{store} does not list its logins.",
)
LOGINS_PLAIN = Message(
    "logins.plain",
    "Docker stores its logins in a plain file: {files}.",
    "Move them to the keyring with `galley logins --move`, or keep it so: `galley settings set "
    "use_keyring false`.",
)
