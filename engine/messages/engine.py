"""Messages about the engine: its socket, start and stop, snapshots, the supervisor."""

from vm.messages import Message

BRIDGE_NOT_A_SOCKET = Message(
    "bridge.not_a_socket",
    "{path} is not a socket.",
    "Move it away; Galley does not remove it.",
)
BRIDGE_NOT_DOCKER = Message(
    "bridge.not_docker",
    "This is not a Docker request: {reason}.",
    "{problem}",
)
BRIDGE_REQUEST_TOO_LONG = Message(
    "bridge.request_too_long",
    "The request is too long for Galley to check it.",
    "Such a request may have at most 8 MiB.",
)
BRIDGE_SOCKET_TAKEN = Message(
    "bridge.socket_taken",
    "The socket {path} is already served by another program.",
    "Use that one, or set GALLEY_HOME to another directory.",
)

CONTAINERS_NOT_STARTED = Message(
    "containers.not_started",
    "The container {name} did not start again.",
    "Start it yourself to see why: docker start {name}",
)
CONTAINERS_NOT_STOPPED = Message(
    "containers.not_stopped",
    "The containers could not be stopped one by one.",
)
CONTAINERS_OF_SWARM = Message(
    "containers.of_swarm",
    "A swarm restarts its containers itself.",
)

CONTROL_MALFORMED = Message("control.malformed", "The supervisor got a malformed request: {error}.")
CONTROL_MISTAKE = Message(
    "control.mistake",
    "Internal error in {method}: {error}.",
    "See: galley logs --component supervisor. Please report it with: galley diagnose --bundle",
)
CONTROL_NO_PATH = Message("control.no_path", "{path!r} is not the absolute path of a file.")
CONTROL_UNKNOWN_METHOD = Message(
    "control.unknown_method",
    "The supervisor knows no method {method!r}.",
    "Run: galley restart --supervisor",
)
CONTROL_WRONG_PARAMETERS = Message(
    "control.wrong_parameters",
    "The parameters of {method} are wrong: {error}.",
)

ENGINE_BUSY = Message("engine.busy", "Galley's engine is {state}.", "Try again when it runs.")
ENGINE_DOES_NOT_START = Message(
    "engine.does_not_start",
    "The Docker Engine does not start in the machine.",
    "The details show its last output; `galley shell` opens a shell in the machine.",
)
ENGINE_DOWN = Message(
    "engine.down",
    "The Docker Engine is not running in Galley's virtual machine.",
    "`galley logs --component engine` says why; `galley restart` starts it again.",
)
ENGINE_IN_USE = Message("engine.in_use", "Suspend aborted: the engine is in use.")
ENGINE_MACHINE_NOT_RUNNING = Message(
    "engine.machine_not_running",
    "The machine is not running.",
    "Start it with `galley start`.",
)
ENGINE_NO_CPU_USE = Message(
    "engine.no_cpu_use",
    "The Docker Engine does not report the CPU usage of containers.",
)
ENGINE_NOT_RUNNING = Message(
    "engine.not_running",
    "The engine is not running.",
    "Start it with `galley start`.",
)
ENGINE_NOT_STARTED = Message(
    "engine.not_started",
    "Galley's engine is {state}.",
    "Start it with `galley start`.",
)
ENGINE_OLDER = Message(
    "engine.older",
    "Docker {newer} has used the data of this machine, and Docker {version} is older.",
    "Use the newer one again, or go back to the data before it, which loses what was made since: "
    "galley snapshot restore {snapshot}",
)
ENGINE_STARTING = Message(
    "engine.starting",
    "Galley's engine is starting ({step}).",
    "Try again in a moment.",
)
ENGINE_STEP_AGAIN = Message(
    "engine.step_again",
    "`galley logs --component engine` shows the log of dockerd.",
)
ENGINE_STEP_STARTING = Message("engine.step_starting", "starting")
ENGINE_WENT_AWAY = Message(
    "engine.went_away",
    "The connection to the Docker Engine was lost before these containers were started again: "
    "{containers}.",
    "Start the engine again, which starts them: galley start",
    one="The connection to the Docker Engine was lost before the container {containers} was "
    "started again.",
    count="count",
)

SNAPSHOT_CANCELLED = Message("snapshot.cancelled", "The snapshot was cancelled.")
SNAPSHOT_IMPOSSIBLE = Message("snapshot.impossible", "Snapshots cannot be made on this computer.")
SNAPSHOT_NO_MEMORY = Message(
    "snapshot.no_memory",
    "The machine is not running: it has no memory to save.",
    "Start it first (galley start), or create the snapshot without memory.",
)
SNAPSHOT_WITHOUT_MEMORY = Message(
    "snapshot.without_memory",
    "{reason}",
    "Create the snapshot without memory.",
)

STEP_ANSWER = Message("step.answer", "Opening the Docker socket")
STEP_CONFIGURE = Message("step.configure", "Configuring the Docker Engine")
STEP_CONTAINERD = Message("step.containerd", "Starting containerd")
STEP_DOCKERD = Message("step.dockerd", "Starting the Docker Engine")
STEP_START_AGAIN = Message("step.start_again", "Starting containers again")

STOP_IN_VAIN = Message(
    "stop.in_vain",
    "{problem}",
    "{hint} Or force a power-off: galley stop --cold",
)

SUPERVISOR_DID_NOT_END = Message(
    "supervisor.did_not_end",
    "Galley's background process did not end within {seconds:g} s.",
    "End process {pid} and try again; the VM keeps running meanwhile.",
)
SUPERVISOR_END_IT = Message(
    "supervisor.end_it",
    "End the process engine.supervisor and try again; the VM and its containers keep running "
    "meanwhile.",
)
SUPERVISOR_END_PROCESS = Message(
    "supervisor.end_process",
    "End process {pid} and try again; the VM and its containers keep running meanwhile.",
)
SUPERVISOR_ENDED = Message("supervisor.ended", "ended while it was starting")
SUPERVISOR_INCOMPATIBLE = Message(
    "supervisor.incompatible",
    "Galley's background process is of an incompatible version.",
    "{end}",
)
SUPERVISOR_LATE = Message("supervisor.late", "did not start in time")
SUPERVISOR_LATE_BY = Message("supervisor.late_by", "did not start within {seconds:g} s")
SUPERVISOR_NO_KEY = Message(
    "supervisor.no_key",
    "The key to Galley's background process is missing.",
    "{end}",
)
SUPERVISOR_NOT_RUNNING = Message(
    "supervisor.not_running",
    "Galley is not running in the background.",
    "Run: galley start",
)
SUPERVISOR_NOT_UP = Message(
    "supervisor.not_up",
    "Galley's background process {how}.",
    "See the details, and `galley logs --component supervisor`.",
)
SUPERVISOR_OTHER_BUILD = Message(
    "supervisor.other_build",
    "Galley's background process is of another build than this program.",
    "Run: galley restart --supervisor (the VM and its containers keep running).",
)
SUPERVISOR_OTHER_KEY = Message(
    "supervisor.other_key",
    "Galley's background process does not accept the key of this instance.",
    "{end}",
)
SUPERVISOR_OTHER_VERSION = Message(
    "supervisor.other_version",
    "Galley {running} is running in the background, but this is Galley {ours}.",
    "Run: galley restart --supervisor (the VM and its containers keep running).",
)
SUPERVISOR_SILENT = Message(
    "supervisor.silent",
    "Galley's background process has not answered for {seconds:g} s.",
    "{end}",
)
SUPERVISOR_UNREACHABLE = Message(
    "supervisor.unreachable",
    "The supervisor cannot be reached: {reason}.",
    "{end}",
)
SUPERVISOR_WENT_AWAY = Message(
    "supervisor.went_away",
    "The connection to Galley's background process was lost.",
    "Try again: it is restarted. The VM and its containers keep running.",
)
