"""Compiles the kernel module by which inotify in the guest reports changes on the host.

It is compiled for exactly the image's kernel, whose types are read from its file (`btf.py`), so
neither its headers nor its build tools are needed. Next: `files/source/event_module.c`.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from engine.guest import recipe
from engine.guest.btf import Types
from engine.guest.kernel import Module
from engine.messages.image import (
    KERNEL_MODULE_NOT_COMPILED,
    KERNEL_NO_VERSION,
    KERNEL_OTHER_FUNCTION,
)
from vm.errors import HostError
from vm.host import process

SOURCE = recipe.FILES / "source" / "event_module.c"
# The kernel's functions that the module calls, each with its number of parameters.
CALLS = {
    "d_lookup": 2,
    "dput": 1,
    "fsnotify": 7,
    "full_name_hash": 3,
    "kern_path": 3,
    "path_put": 1,
    "vfs_getattr": 4,
    "vfs_path_lookup": 5,
}
FLAGS = (
    *("-c", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdinc", "-fno-pic"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"),
    "-mgeneral-regs-only",
)
FLAGS_OF = {"amd64": ("-mcmodel=kernel", "-mno-red-zone", "-fcf-protection=branch"), "arm64": ()}


def build(kernel: bytes, modules: Iterable[Module], work: Path, arch: str) -> bytes:
    """The module as a file. `modules`: some of the kernel's own. Raises HostError."""
    made = work / "events.ko"
    words = (f"-D{name}={value}" for name, value in definitions(kernel, modules).items())
    argv = [recipe.compiler(arch), *FLAGS, *FLAGS_OF[arch], *words, "-o", str(made), str(SOURCE)]
    done = process.run(argv)
    if not done.ok:
        raise HostError(KERNEL_MODULE_NOT_COMPILED, name=SOURCE.name, details=done.tail())
    return made.read_bytes()


def definitions(kernel: bytes, modules: Iterable[Module]) -> dict[str, str]:
    """The source's macros that depend on the kernel. Raises HostError where a function of the
    kernel has other parameters than the source expects."""
    types = Types(kernel)
    for function, count in CALLS.items():
        if types.parameters(function) != count:
            raise HostError(KERNEL_OTHER_FUNCTION, function=function)
    return {
        "KERNEL_ATTRIBUTES_SIZE": str(types.size("kstat")),
        "KERNEL_DATA_IS_INODE": str(types.constant("fsnotify_data_type", "FSNOTIFY_EVENT_INODE")),
        "KERNEL_DENTRY_INODE": str(types.offset("dentry", "d_inode")),
        "KERNEL_INODE_WATCHED": str(types.offset("inode", "i_fsnotify_mask")),
        "KERNEL_MODULE_NAME": str(types.offset("module", "name")),
        "KERNEL_MODULE_SIZE": str(types.size("module")),
        "KERNEL_OPERATIONS_SIZE": str(types.size("kernel_param_ops")),
        "KERNEL_PARAMETER_SIZE": str(types.size("kernel_param")),
        "KERNEL_VERSION_MAGIC": f'"{_version_magic(modules)}"',
    }


def _version_magic(modules: Iterable[Module]) -> str:
    """The version magic that every module of this kernel has."""
    for module in modules:
        found = re.search(rb"\0vermagic=([^\0]*)\0", module.data)
        if found:
            return found[1].decode()
    raise HostError(KERNEL_NO_VERSION)
