"""Messages about the settings and daemon.json."""

from vm.messages import Message

DAEMON_JSON_CONTAINERD = Message("daemon_json.containerd", "Galley starts containerd itself.")
DAEMON_JSON_DATA_ROOT = Message(
    "daemon_json.data_root",
    "Images and volumes are on the machine's data disk.",
)
DAEMON_JSON_EXEC_ROOT = Message(
    "daemon_json.exec_root",
    "It is in the machine's memory, where the next start expects it.",
)
DAEMON_JSON_FILE_UNREADABLE = Message(
    "daemon_json.file_unreadable",
    "{file} cannot be read: {error}.",
    "Correct it, or delete it.",
)
DAEMON_JSON_GROUP = Message("daemon_json.group", "The socket belongs to the machine's only user.")
DAEMON_JSON_HOSTS = Message(
    "daemon_json.hosts",
    "Galley reaches dockerd on the socket that it has chosen.",
)
DAEMON_JSON_IPTABLES = Message(
    "daemon_json.iptables",
    "Published ports reach their containers by it.",
)
DAEMON_JSON_NO_OBJECT = Message(
    "daemon_json.no_object",
    "daemon.json has to be an object.",
    'Write its settings between braces: {"debug": true}',
)
DAEMON_JSON_OWNED = Message("daemon_json.owned", '"{name}" cannot be set here.', "{reason}")
DAEMON_JSON_PIDFILE = Message(
    "daemon_json.pidfile",
    "Galley uses it to detect whether dockerd runs.",
)
DAEMON_JSON_SYNTAX = Message(
    "daemon_json.syntax",
    "Line {line}, column {column}: {reason}.",
    "daemon.json is JSON: names and texts in double quotes, no comma before a bracket.",
)
DAEMON_JSON_TLS = Message(
    "daemon_json.tls",
    "dockerd is reached inside the machine only, through ssh.",
)
DAEMON_JSON_TOO_LONG = Message(
    "daemon_json.too_long",
    "daemon.json is longer than {kib} KiB.",
    "Shorten it.",
)
DAEMON_JSON_TWICE = Message("daemon_json.twice", '"{name}" is there twice.', "Keep one of them.")
DAEMON_JSON_USERNS_REMAP = Message(
    "daemon_json.userns_remap",
    "The setting userns_remap is for this: shared folders follow it, too.",
)
DAEMON_JSON_UNREADABLE = Message(
    "daemon_json.unreadable",
    "daemon.json cannot be read: {reason}.",
    "Correct it.",
)

DOCKERD_DOES_NOT_START = Message(
    "dockerd.does_not_start",
    "dockerd does not start any more: {reason}.",
    "Run `galley restart`.",
)
DOCKERD_GONE = Message(
    "dockerd.gone",
    "dockerd does not start any more: {reason}.",
    "The previous settings were restored, but dockerd still fails. Run `galley restart`.",
)
DOCKERD_LIVE_RESTORE = Message(
    "dockerd.live_restore",
    "dockerd does not turn off live-restore, without which it allows no swarm.",
    "Nothing was changed. `galley logs --component engine` says why; try again after `galley "
    "restart`.",
)
DOCKERD_OLDER_MACHINE = Message(
    "dockerd.older_machine",
    "The machine that runs was started by an older Galley.",
    "Run `galley restart`, then try again.",
)
DOCKERD_OLDER_MACHINE_SETTINGS = Message(
    "dockerd.older_machine_settings",
    "The machine that runs was started by an older Galley.",
    "Run `galley restart`, then apply the settings again.",
)
DOCKERD_SETTINGS_FAILED = Message(
    "dockerd.settings_failed",
    "dockerd does not start with these settings: {said}.",
    "The previous settings are active again. Correct the new ones and apply them again.",
)
DOCKERD_SETTINGS_REFUSED = Message(
    "dockerd.settings_refused",
    "dockerd refuses these settings: {said}.",
    "Nothing was changed. Correct them.",
)
DOCKERD_SILENT = Message("dockerd.silent", "no output")
DOCKERD_WITHOUT_DAEMON_JSON = Message(
    "dockerd.without_daemon_json",
    "dockerd does not start with daemon.json: {said}.",
    "It runs with Galley's own settings. Correct daemon.json and apply it again.",
)

PROXY_ONLY_HTTP = Message(
    "proxy.only_http",
    "Galley can log in only to a proxy whose address begins with http://.",
    "Use such a proxy, or one without a login.",
)

SETTINGS_ADDRESS = Message("settings.address", "an IP address such as 127.0.0.1")
SETTINGS_BAD_LINE = Message(
    "settings.bad_line",
    "settings.toml{where}: {problem}",
    "{used} is used. Run: galley settings set {name} VALUE",
)
SETTINGS_BAD_VALUE = Message(
    "settings.bad_value",
    "{name} cannot be {value!r}: it must be {allowed}.",
    "{help} The default is {default}.",
)
SETTINGS_CHOICE = Message("settings.choice", "one of {choices}")
SETTINGS_DURATION = Message(
    "settings.duration",
    "a time such as 90s, 5min or 2h, up to {longest}, or never",
)
SETTINGS_FILE_UNREADABLE = Message(
    "settings.file_unreadable",
    "The settings file cannot be read: {reason}.",
    "Correct {file}, or move it away to go back to the defaults.",
)
SETTINGS_FEED = Message(
    "settings.feed",
    "an address that begins with https:// or file:, without a login, or a folder's path, or empty",
)
SETTINGS_KEY = Message(
    "settings.key",
    "a minisign public key (56 characters that begin with RW), or empty",
)
SETTINGS_HOSTS = Message(
    "settings.hosts",
    "names such as example.com or 10.0.0.0/8, with commas between them, or nothing",
)
SETTINGS_LINE = Message("settings.line", ", line {number}")
SETTINGS_NEWER = Message(
    "settings.newer",
    "The settings were written by a newer Galley; what this one does not know is ignored.",
    "Update Galley.",
)
SETTINGS_NOT_IN_FILE = Message(
    "settings.not_in_file",
    "settings.toml{where}: {name} is not kept in this file.",
    "Take it out, and run: galley settings set {name} VALUE",
)
SETTINGS_NOTHING = Message("settings.nothing", "Nothing")
SETTINGS_PASSWORD_IN_FILE = Message(
    "settings.password_in_file",
    "This file must not contain the password of {name}.",
)
SETTINGS_PATHS = Message("settings.paths", "folders such as ~ or /data, with commas between them")
SETTINGS_PROXY = Message(
    "settings.proxy",
    "an address such as http://user:password@example.com:3128, or nothing",
)
SETTINGS_RANGE = Message("settings.range", "from {least} to {most}")
SETTINGS_SWITCH = Message("settings.switch", "true or false")
SETTINGS_TEXT = Message("settings.text", "a word of letters, digits and -_.,+=")
SETTINGS_UNKNOWN = Message(
    "settings.unknown",
    "There is no setting {name!r}.",
    "There are: {names}.",
)
SETTINGS_UNKNOWN_LINE = Message(
    "settings.unknown_line",
    "settings.toml{where}: {problem}",
    "{hint}",
)
SETTINGS_UNKNOWN_NEAR = Message(
    "settings.unknown_near",
    "There is no setting {name!r}.",
    "Did you mean {near}?",
)

SHARE_IS_FILE = Message(
    "share.is_file",
    "The folder {folder} cannot be shared: it is a file.",
    "Share the folder that contains it.",
)
SHARE_MISSING = Message(
    "share.missing",
    "The folder {folder} cannot be shared: it does not exist.",
    "Create it, or leave it out.",
)
SHARE_NOT_READABLE = Message(
    "share.not_readable",
    "The folder {folder} cannot be shared: you have no permission to read it.",
    "Change its permissions, or leave it out.",
)
SHARE_OF_GALLEY = Message(
    "share.of_galley",
    "The folder {folder} cannot be shared: Galley keeps its keys and sockets there.",
    "Share a folder of your own.",
)
SHARE_OF_MACHINE = Message(
    "share.of_machine",
    "The folder {folder} cannot be shared: the machine uses this path itself.",
    "Share a folder of your own.",
)
