"""Messages of commands that have no other place."""

from vm.messages import Message

CLI_MISTAKE = Message(
    "cli.mistake",
    "Internal error in Galley: {kind}: {error}",
    "The details are in {path}. Please report them.",
)
CLI_MISTAKE_UNLOGGED = Message(
    "cli.mistake_unlogged",
    "Internal error in Galley: {kind}: {error}",
    "Please report it with its details.",
)

DOCKER_CLI_NONE_FOR_LOGIN = Message(
    "docker_cli.none_for_login",
    "There is no docker program on this computer that could log in.",
    "Log in at the settings of the window, or install a docker client.",
)

IMAGE_NONE = Message(
    "image.none",
    "There is no guest image yet.",
    "`galley start` downloads or builds one.",
)

MACHINE_NONE_TO_DELETE = Message("machine.none_to_delete", "There is no machine to delete.")
MACHINE_PRETENDS = Message(
    "machine.pretends",
    "The fake backend cannot run commands.",
)

START_CANCELLED_STOPPED = Message(
    "start.cancelled_stopped",
    "The start was cancelled; the machine is stopped.",
)

WINDOW_NO_DISPLAY = Message(
    "window.no_display",
    "There is no display here for a window.",
    "Use the commands (`galley --help`), or run this in a graphical session.",
)
WINDOW_NOT_OPENED = Message(
    "window.not_opened",
    "The window did not open.",
    "See the details, which usually name a missing library of the system.",
)
