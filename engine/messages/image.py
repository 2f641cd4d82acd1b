"""Messages about the guest image: what is newer, its kernel, its recipe, and what is in it."""

from vm.messages import Message

CHANNEL_INSTEAD = Message(
    "channel.instead",
    "The new machine has the image channel {channel}, because {wanted} is not available: {reason}",
    "Try it again later: galley settings set channel {wanted}",
)
CHANNEL_NO_ADDRESS = Message(
    "channel.no_address",
    "The image channel docker needs the address of Docker's apt repository.",
    "Docker's guide to its installation on Debian has it: galley settings set docker_repository "
    "ADDRESS",
)
CHANNEL_OTHER_KEY = Message(
    "channel.other_key",
    "{address} does not have the key of Docker's apt repository, {fingerprint}.",
    "Check the setting docker_repository",
)
CHECK_APT_FAILED = Message(
    "check.apt_failed", "apt could not read the package lists that it fetched."
)
CHECK_CHANGELOGS = Message(
    "check.changelogs",
    "Fetching {count} changelogs",
    one="Fetching {count} changelog",
    count="count",
)
CHECK_LISTS = Message("check.lists", "Fetching Debian's package lists")
CHECK_NO_APT = Message("check.no_apt", "Use a computer with Debian or a system that is based on it")
CHECK_NO_SOURCE = Message(
    "check.no_source",
    "apt on this computer has no source of Debian {suite}.",
    "Add Debian's archive, signed by debian-archive-keyring, to /etc/apt/sources.list.d",
)
CHECK_NOT_SIGNED = Message(
    "check.not_signed",
    "The package lists of {source} have no valid signature of the key that Galley expects.",
    "Install a current debian-archive-keyring, or use another Debian mirror in "
    "/etc/apt/sources.list.d",
)
CHECK_NOT_YET = Message(
    "check.not_yet",
    "The package lists of {source} are dated later than this computer's clock.",
    "Set the clock: sudo timedatectl set-ntp true",
)
CHECK_UNREACHABLE = Message(
    "check.unreachable",
    "The package lists of {source} could not be fetched.",
    "Check the network and apt's sources: sudo apt-get update",
)

IMAGE_OLD = Message(
    "image.old",
    "The packages in the guest image are {days} days old.",
    "Look for newer ones: galley image check. Update: galley image update",
)
IMAGE_POSTPONED = Message(
    "image.postponed",
    "The guest image of {date} is not used yet: {reason}",
    "Galley tries it again at the next cold start.",
)
IMAGE_UPDATES_CANCELLED = Message("image.updates_cancelled", "The update was cancelled.")
IMAGE_WAITING = Message("image.waiting", "Waiting for another download or build of a guest image")
IMAGE_WENT_BACK = Message(
    "image.went_back",
    "The guest image of {date} does not start, so the one of {used} runs again: {reason}",
    "Galley waits for the next image. Try this one again: galley image update --again",
)

KERNEL_BAD_LENGTH = Message(
    "kernel.bad_length",
    "The kernel image does not unpack to what its header says.",
)
KERNEL_CUT_OFF = Message("kernel.cut_off", "The kernel image is cut off.")
KERNEL_MODULE_NOT_COMPILED = Message(
    "kernel.module_not_compiled",
    "{name} could not be compiled for the guest's kernel.",
)
KERNEL_NO_BTF = Message(
    "kernel.no_btf",
    "The kernel of the guest does not describe its types (BTF).",
)
KERNEL_NO_ENUMERATOR = Message(
    "kernel.no_enumerator",
    "The kernel of the guest has no {word} in its enum {name}.",
)
KERNEL_NO_IMAGE = Message(
    "kernel.no_image",
    "The kernel package holds no kernel image that Galley knows.",
)
KERNEL_NO_MEMBER = Message(
    "kernel.no_member",
    "The kernel of the guest has no {member} in its struct {name}.",
)
KERNEL_NO_TYPE = Message("kernel.no_type", "The kernel of the guest has no {name}.")
KERNEL_NO_VERSION = Message(
    "kernel.no_version",
    "No module of the guest's kernel says which kernel it is for.",
)
KERNEL_NO_ZSTD = Message("kernel.no_zstd", "Install it: sudo apt-get install zstd")
KERNEL_NOT_UNPACKED = Message("kernel.not_unpacked", "The kernel could not be unpacked.")
KERNEL_OTHER_FUNCTION = Message(
    "kernel.other_function",
    "The guest's kernel has another {function} than Galley knows.",
)

RECIPE_AGAIN = Message("recipe.again", "{damage} Building it again")
RECIPE_DEBIAN_EXPIRED = Message(
    "recipe.debian_expired",
    "The copy of {source} that this computer reaches is out of date: its Release file has expired.",
    "Use the stable channel, or another Debian mirror in /etc/apt/sources.list.d",
)
RECIPE_FILES = Message("recipe.files", "Choosing the guest's files")
RECIPE_INSTALL = Message(
    "recipe.install",
    "Install them: sudo apt-get install mmdebstrap erofs-utils qemu-utils zstd uidmap gcc "
    "libc6-dev",
)
RECIPE_KERNEL = Message("recipe.kernel", "Preparing the kernel")
RECIPE_NO_FILE = Message("recipe.no_file", "No package of the guest's recipe holds {name}.")
RECIPE_NO_IDS = Message(
    "recipe.no_ids",
    "The guest's packages could not be fetched.",
    "Give your user subordinate ids: sudo usermod --add-subuids 100000-165535 --add-subgids "
    "100000-165535 $USER",
)
RECIPE_NO_KERNEL = Message("recipe.no_kernel", "No package of the guest's recipe holds a kernel.")
RECIPE_NO_LIBRARY = Message(
    "recipe.no_library",
    "{name} needs {library}, which no package of the recipe holds.",
)
RECIPE_NO_MODULES = Message(
    "recipe.no_modules",
    "No package of the guest's recipe holds kernel modules.",
)
RECIPE_NO_NETWORK = Message(
    "recipe.no_network",
    "The guest's packages could not be fetched.",
    "Check the network and apt's sources: sudo apt-get update",
)
RECIPE_NO_PACKAGES = Message(
    "recipe.no_packages",
    "mmdebstrap did not report the packages that it installed.",
    "Install dpkg, and a current mmdebstrap",
)
RECIPE_NO_PACKAGE = Message(
    "recipe.no_package",
    "The apt sources of this channel do not have the package {name}.",
    "Use the stable channel, or another mirror",
)
RECIPE_NO_RELEASE = Message(
    "recipe.no_release",
    "No signed Release file says how old the guest's packages are.",
)
RECIPE_NO_ROOM = Message(
    "recipe.no_room",
    "The guest's packages could not be fetched.",
    "Free 2 GB on the disk that holds Galley's images",
)
RECIPE_NO_ROOT = Message("recipe.no_root", "The guest's root could not be made.")
RECIPE_NOT_COMPILED = Message(
    "recipe.not_compiled",
    "{name} could not be compiled for the guest.",
    "{hint}",
)
RECIPE_OLDER = Message(
    "recipe.older",
    "The package lists of {codename} are of {date}, older than those of the image that is here, "
    "of {kept}.",
    "Try again later, or use another mirror",
)
RECIPE_ROOT = Message("recipe.root", "Compressing the root file system")
RECIPE_UNPACK = Message("recipe.unpack", "Downloading and unpacking Debian {suite} packages")

SBOM_BAD_TIME = Message(
    "sbom.bad_time",
    "SOURCE_DATE_EPOCH is {value}, which is not a time in seconds since 1970.",
    "Correct this environment variable, or unset it.",
)
SBOM_NOT_INSTALLED = Message(
    "sbom.not_installed",
    "The packages that Galley runs with are unknown, because it is not installed as a Python "
    "package.",
    "Install it with pip.",
)
