"""Messages about the life of a machine: start steps, snapshots, states."""

from vm.messages import Message

ACCELERATOR_FAKE = Message("accelerator.fake", "The fake backend emulates nothing.")

BACKEND_UNKNOWN = Message("backend.unknown", "There is no backend {name}.", "Choose auto, {names}.")

BOOT_DIED = Message(
    "boot.died",
    "The virtual machine ended while it was booting.",
    "Try again; `galley logs --component vm` shows its console.",
)
BOOT_FILES_NOT_TAKEN = Message(
    "boot.files_not_taken",
    "The virtual machine rejected its boot files.",
    "Try again: galley start",
)
BOOT_HUNG = Message(
    "boot.hung",
    "The virtual machine did not start.",
    "Try again; `galley logs --component vm` shows its console.",
)
BOOT_NOTHING = Message("boot.nothing", "There is nothing to start.")
BOOT_PART_FAILED = Message(
    "boot.part_failed",
    "A part of the guest did not start: {part}",
    "Run `galley diagnose --bundle FILE` and check the logs in it.",
)
BOOT_SECOND_TRY = Message(
    "boot.second_try",
    "The machine started only at the second try: {error}",
    "Nothing is lost. `galley diagnose --bundle FILE` has the console of both.",
)

DISK_DAMAGED = Message(
    "disk.damaged",
    "The data disk is damaged: {said}",
    "Copy {disk} to a safe place, then run `galley start --repair`.",
)
DISK_TOO_LITTLE_FREE = Message(
    "disk.too_little_free",
    "The disk that holds {folder} has {free:size} free; a machine needs {needed:size}.",
    "Free some space, or set GALLEY_HOME to a directory on another disk.",
)

FAKE_CLOSED = Message("fake.closed", "The fake machine closed the connection.")
FAKE_SCRIPT = Message("fake.script", "{path} is not a script for the fake machine: {error}")
FAKE_SILENT = Message("fake.silent", "The fake machine does not answer.")

MACHINE_ALREADY_RUNNING = Message("machine.already_running", "The machine is running already.")
MACHINE_ENDED = Message(
    "machine.ended",
    "The virtual machine ended unexpectedly.",
    "Start it again with `galley start`; images, volumes and containers are kept.",
)
MACHINE_GALLEY_FAILED = Message("machine.galley_failed", "Galley failed: {error}")
MACHINE_NONE_TO_START = Message("machine.none_to_start", "There is no machine to start yet.")
MACHINE_NOT_RUNNING = Message(
    "machine.not_running",
    "The machine is not running.",
    "Start it: galley start",
)
MACHINE_OUTDATED = Message(
    "machine.outdated",
    "The virtual machine was started by another version of Galley. It works as before.",
    "Restart the engine to finish updating: galley restart",
)
MACHINE_RUNNING_STOP_FIRST = Message(
    "machine.running_stop_first",
    "The machine is running.",
    "Stop it first: galley stop",
)
MACHINE_TOO_MANY_CPUS = Message(
    "machine.too_many_cpus",
    "The settings give the machine {cpus} CPUs, but this computer has {processors}.",
    "Give it at most {processors}: galley settings set",
)
MACHINE_TOO_MUCH_MEMORY = Message(
    "machine.too_much_memory",
    "The settings give the machine {wanted:size} of memory, but this computer has "
    "{installed:size}.",
    "Give it less: galley settings set",
)

SNAPSHOT_BAD_NAME = Message(
    "snapshot.bad_name",
    "A snapshot cannot be named {name!r}.",
    "Use up to 63 letters, digits, dots, dashes and underscores, a letter or digit first.",
)
SNAPSHOT_EXISTS = Message(
    "snapshot.exists",
    "There is a snapshot {name} already.",
    "Take another name.",
)
SNAPSHOT_MISSING = Message(
    "snapshot.missing",
    "There is no snapshot {name}.",
    "There are: {names}.",
)
SNAPSHOT_MISSING_ANY = Message(
    "snapshot.missing_any",
    "There is no snapshot {name}.",
    "Create one: galley snapshot create NAME",
)
SNAPSHOT_NOTHING = Message(
    "snapshot.nothing",
    "There is no data to save yet.",
    "Start the engine first: galley start",
)

START_CANCELLED = Message("start.cancelled", "The start was cancelled.")

STEP_AGAIN = Message(
    "step.again",
    "Try again with `galley start`; `galley logs --component vm` has the whole console.",
)
STEP_CONNECT = Message("step.connect", "Connecting to the machine")
STEP_CREATE = Message("step.create", "Creating the machine")
STEP_DISK_FULL = Message(
    "step.disk_full",
    "{step} failed: this computer's disk is full.",
    "Free some space on it, then try again.",
)
STEP_IDENTITY = Message("step.identity", "Checking the machine's identity")
STEP_IMAGE = Message("step.image", "Checking the guest image")
STEP_LATE = Message("step.late", "{step} took longer than {seconds:g} s.", "{hint}")
STEP_LINUX = Message("step.linux", "Booting Linux")
STEP_LINUX_ONCE = Message("step.linux_once", "Booting Linux for the boot checkpoint")
STEP_MOUNT = Message("step.mount", "Mounting the data disk")
STEP_REFUSED = Message(
    "step.refused",
    "{step} failed on this computer: {reason}.",
    "Try again; the details say what was refused.",
)
STEP_START = Message("step.start", "Starting {backend}")
STEP_WAKE = Message("step.wake", "Resuming the machine")

SUSPEND_IMPOSSIBLE = Message("suspend.impossible", "Machines cannot be suspended on this computer.")
