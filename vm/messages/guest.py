"""Messages about the guest: its image, and the connections to it."""

from vm.messages import Message

GUEST_CANNOT_READ = Message("guest.cannot_read", "Cannot read {path} in the virtual machine.")
GUEST_CANNOT_WRITE = Message("guest.cannot_write", "Cannot write {path} in the virtual machine.")
GUEST_COMMAND_NOT_STARTED = Message(
    "guest.command_not_started",
    "The virtual machine did not start the command.",
)
GUEST_CONNECTION_CLOSED = Message("guest.connection_closed", "the connection was closed")
GUEST_HOST_KEY = Message(
    "guest.host_key",
    "The virtual machine shows another host key than the one it was created with.",
    "If you did not replace its data disk, another program answers in its place.",
)
GUEST_HOST_KEY_ON_CONSOLE = Message(
    "guest.host_key_on_console",
    "The machine shows another host key than the one it was created with.",
    "If you replaced {disk} yourself, delete {pin}.",
)
GUEST_HOST_KEY_UNKNOWN = Message(
    "guest.host_key_unknown",
    "The host key of the virtual machine is not known yet.",
    "Start the machine again.",
)
GUEST_KEY_REFUSED = Message("guest.key_refused", "it rejects Galley's key")
GUEST_LOST = Message(
    "guest.lost",
    "The connection to the virtual machine was lost.",
    "See `galley status`.",
)
GUEST_LOST_COMMAND = Message(
    "guest.lost_command", "The connection to the virtual machine was lost during a command."
)
GUEST_NOT_GROWN = Message(
    "guest.not_grown",
    "The data disk is larger now, but its file system could not be made so.",
    "Run `galley restart`, which tries it again.",
)
GUEST_OTHER_VERSION = Message(
    "guest.other_version",
    "The virtual machine was started by another version of Galley.",
    "Run `galley restart`.",
)
GUEST_OUTPUT_TOO_LONG = Message(
    "guest.output_too_long",
    "A command in the virtual machine wrote too much output.",
)
GUEST_REFUSED = Message(
    "guest.refused",
    "The virtual machine refused {task}: {reason}.",
    "`galley logs --component vm` shows the console of the machine.",
)
GUEST_SILENT = Message(
    "guest.silent",
    "The virtual machine does not answer: {reason}.",
    "Run `galley restart` if this persists.",
)
GUEST_STOPPED_ANSWERING = Message("guest.stopped_answering", "it stopped answering")

IMAGE_DAMAGED = Message(
    "image.damaged",
    "The guest image is damaged: {name} in {image}: {reason}.",
    "Build it again: galley image build",
)
IMAGE_FILE_CHANGED = Message("image.file_changed", "its content has changed")
IMAGE_FILE_MISSING = Message("image.file_missing", "it is missing")
IMAGE_OTHER_FORMAT = Message("image.other_format", "its format is {format}, not {expected}")
IMAGE_OTHER_SIZE = Message("image.other_size", "it has {size} bytes instead of {expected}")
