"""Messages about QEMU, accelerators, suspending."""

from vm.messages import Message

ACCELERATOR_CHOSEN = Message("accelerator.chosen", "{accelerator} was chosen in the settings.")
ACCELERATOR_CHOSEN_BEFORE = Message(
    "accelerator.chosen_before",
    "It was chosen when the machine was started.",
)
ACCELERATOR_ELSEWHERE = Message(
    "accelerator.elsewhere",
    "The accelerator {accelerator} does not exist on {system}.",
)
ACCELERATOR_FAILED = Message(
    "accelerator.failed",
    "{accelerator} is present, but a test guest did not boot: {reason}",
)
ACCELERATOR_KVM_CLOSED = Message(
    "accelerator.kvm_closed",
    "This user cannot open {device}: not a member of the group kvm.",
)
ACCELERATOR_NO_HVF = Message("accelerator.no_hvf", "This Mac has no Hypervisor.framework.")
ACCELERATOR_NO_KVM = Message(
    "accelerator.no_kvm",
    "{device} does not exist: virtualization is off in the firmware, or there is none.",
)
ACCELERATOR_NONE = Message(
    "accelerator.none",
    "This system has no hardware virtualization that QEMU can use.",
)
ACCELERATOR_REFUSED = Message(
    "accelerator.refused",
    "{reason}",
    "Set the accelerator to auto: galley settings set",
)
ACCELERATOR_SLOW = Message(
    "accelerator.slow",
    "{accelerator} is present, but a test guest did not boot in {seconds:g} s.",
)
ACCELERATOR_TESTING = Message("accelerator.testing", "Testing {accelerator} with a small guest")
ACCELERATOR_WHPX = Message("accelerator.whpx", "the Windows Hypervisor Platform")
ACCELERATOR_WORKS = Message(
    "accelerator.works",
    "{accelerator} booted a test guest in {seconds:.1f} s.",
)

CHECKPOINT_FAILURES = Message(
    "checkpoint.failures",
    "Every start of the machine boots Linux, which takes about twice as long as resuming a boot "
    "checkpoint: this has failed {failures} times in a row.",
    "To retry: galley stop --cold, then galley start --repair",
)
CHECKPOINT_FILE_CHANGED = Message("checkpoint.file_changed", "a file of it has been changed")
CHECKPOINT_NONE = Message("checkpoint.none", "there is none")
CHECKPOINT_OTHER_DISK_SIZE = Message("checkpoint.other_disk_size", "the data disk has another size")

EMULATION_CHOSEN = Message("emulation.chosen", "Emulation was chosen in the settings.")

QEMU_COMMAND_REFUSED = Message("qemu.command_refused", "QEMU refused {command}: {reason}.")
QEMU_COPY_FAILED = Message("qemu.copy_failed", "QEMU could not copy the data disk: {reason}.")
QEMU_ENDED = Message("qemu.ended", "QEMU ended with code {code}")
QEMU_FORWARD_STAYS = Message(
    "qemu.forward_stays",
    "QEMU did not stop forwarding port {port}: {said}",
)
QEMU_INSTALL_DARWIN = Message("qemu.install_darwin", "Install it: `brew install qemu`.")
QEMU_INSTALL_LINUX = Message(
    "qemu.install_linux",
    "Install it: `sudo apt install {apt}` (Debian, Ubuntu), `sudo dnf install qemu-kvm` (Fedora), "
    "`sudo pacman -S qemu-base` (Arch).",
)
QEMU_INSTALL_OTHER = Message(
    "qemu.install_other",
    "Install QEMU with your system's package manager.",
)
QEMU_INSTALL_WINDOWS = Message(
    "qemu.install_windows",
    "Install it: `winget install SoftwareFreedomConservancy.QEMU`, and put it on PATH.",
)
QEMU_JOB_GONE = Message("qemu.job_gone", "its job has ended")
QEMU_NO_ANSWER = Message("qemu.no_answer", "QEMU does not answer on its control socket.")
QEMU_NO_PACKETS = Message("qemu.no_packets", "QEMU does not report connections to published ports.")
QEMU_NO_REASON = Message("qemu.no_reason", "no reason given")
QEMU_NO_VERSION = Message("qemu.no_version", "{path} does not report its version.", "{install}")
QEMU_NOT_QMP = Message("qemu.not_qmp", "QEMU's control socket does not speak QMP.")
QEMU_OR_AUTO = Message("qemu.or_auto", ", or set the accelerator to auto")
QEMU_OTHER_MACHINE = Message(
    "qemu.other_machine",
    "QEMU's control socket belongs to another machine.",
)
QEMU_SILENT = Message("qemu.silent", "it did not answer within {seconds:g} s")
QEMU_START_FAILED = Message(
    "qemu.start_failed",
    "QEMU did not start the machine: {reason}",
    "Try again{chosen}; `galley logs --component vm` shows QEMU's output.",
)
QEMU_TOO_OLD = Message(
    "qemu.too_old",
    "QEMU {version} is too old: Galley needs {oldest} or newer.",
    "{install}",
)

SHARES_NAMESPACES_FORBIDDEN = Message(
    "shares.namespaces_forbidden",
    "Containers that do not run as root cannot write to shared folders: on this computer, "
    "virtiofsd cannot create files of other users.",
    "The administrator can change that (sysctl {setting}); then: galley restart",
)
SHARES_NO_VIRTIOFSD = Message(
    "shares.no_virtiofsd",
    "Folders cannot be shared by virtiofs: virtiofsd is not installed.",
    "Install it (sudo apt-get install virtiofsd), or share by sftp: galley settings set share_by "
    "auto && galley restart",
)
SHARES_TOO_MANY = Message(
    "shares.too_many",
    "{count} shared folders are too many, or their paths are too long.",
    "Share a folder that contains several of them: galley settings set shares",
    one="The path of the shared folder is too long.",
    count="count",
)

SUSPEND_DISK_FULL = Message(
    "suspend.disk_full",
    "Suspending needs {needed:size} for the machine's memory, and the disk that holds {folder} "
    "has {free:size} free.",
    "Free some space, or power it off: galley stop --cold",
)
SUSPEND_FAILED = Message(
    "suspend.failed",
    "QEMU could not suspend or resume the machine: {reason}.",
)
SUSPEND_OTHER_ACCELERATOR = Message("suspend.other_accelerator", "the accelerator is another one")
SUSPEND_OTHER_DISK_SIZE = Message(
    "suspend.other_disk_size",
    "its data disk is to have another size",
)
SUSPEND_OTHER_FORMAT = Message(
    "suspend.other_format",
    "it was suspended by another version of Galley",
)
SUSPEND_OTHER_IMAGE = Message("suspend.other_image", "the guest image is another one")
SUSPEND_OTHER_PROCESSOR = Message(
    "suspend.other_processor",
    "this computer's processor or kernel is another one",
)
SUSPEND_OTHER_QEMU = Message("suspend.other_qemu", "QEMU has been replaced")
SUSPEND_OTHER_SETTINGS = Message("suspend.other_settings", "its settings have changed")
SUSPEND_OTHER_VERSION = Message(
    "suspend.other_version",
    "The machine cannot be suspended: it was started by another version of Galley.",
    "`galley stop --cold` powers it off.",
)
SUSPEND_UNFIT = Message(
    "suspend.unfit",
    "The suspended machine cannot be resumed: {reason}.",
    "A cold start follows; no data on its disk is lost.",
)
