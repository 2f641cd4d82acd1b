"""The guest's file trees: chosen files from the packages, joined with our own.

`stage_root` fills a directory that becomes the image's /usr, `initramfs` makes the initramfs that
mounts it. Next: `build.py`.
"""

import hashlib
import posixpath
from pathlib import Path

from engine.guest import kernel, recipe
from engine.guest.archive import PackageTree, needed_libraries
from engine.guest.channels import ENGINES, Channel
from engine.messages.image import RECIPE_NO_KERNEL, RECIPE_NO_LIBRARY, RECIPE_NO_MODULES
from vm.cpio import CpioEntry, cpio
from vm.errors import HostError

SKELETON = "share/galley/skeleton"


def load_modules(tree: PackageTree) -> tuple[str, dict[str, kernel.Module]]:
    """The kernel's version, and the modules that the recipe lists."""
    paths = {posixpath.basename(name): name for name in tree.names("usr/lib/modules/*.ko*")}
    if not paths:
        raise HostError(RECIPE_NO_MODULES)
    version = next(iter(paths.values())).split("/")[3]
    files = {name.split(".ko")[0]: name for name in paths}
    modules = kernel.choose(
        files,
        recipe.MODULES,
        lambda name: kernel.read_module(files[name], tree.read(paths[files[name]])),
    )
    return version, modules


def kernel_image(tree: PackageTree) -> bytes:
    """The compressed kernel. Newer packages do not have it in /boot."""
    for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "boot/vmlinux-*"):
        for name in tree.names(pattern):
            return tree.read(name)
    raise HostError(RECIPE_NO_KERNEL)


def initramfs(tree: PackageTree, modules: dict[str, kernel.Module]) -> bytes:
    """Static busybox, our init, and the modules that mounting the root needs."""
    order = kernel.in_order(modules, recipe.EARLY_MODULES)
    applets = ("sh", "mount", "insmod", "mkdir", "cp", "switch_root", "poweroff")
    entries = [
        *(CpioEntry(name, 0o040755) for name in ("bin", "dev", "modules", "proc", "root")),
        CpioEntry("bin/busybox", 0o100755, tree.read("usr/bin/busybox")),
        *(CpioEntry(f"bin/{name}", 0o120777, b"busybox") for name in applets),
        CpioEntry("init", 0o100755, (recipe.FILES / "initramfs" / "init").read_bytes()),
        CpioEntry("modules/order", 0o100644, "".join(f"{name}.ko\n" for name in order).encode()),
        *(CpioEntry(f"modules/{name}.ko", 0o100644, modules[name].data) for name in order),
    ]
    return cpio(entries)


def stage_root(
    tree: PackageTree,
    modules: dict[str, kernel.Module],
    version: str,
    arch: str,
    channel: Channel,
    usr: Path,
    own: dict[str, bytes],
) -> None:
    """Fill `usr`. Every file gets a fixed mode, whatever the umask is. `own`: our compiled
    programs, by name."""
    staging = Staging(tree, usr)
    engine = ENGINES[channel]
    staging.write(f"{SKELETON}/etc/os-release", os_release(engine.suite, channel))
    libraries = f"usr/lib/{recipe.TRIPLETS[arch]}"
    for program in recipe.PROGRAMS:
        staging.copy_program(program, libraries)
    for place, paths in engine.programs.items():
        staging.copy_program(_first(tree, paths), libraries, place.removeprefix("usr/"))
    for name, target in engine.links.items():
        staging.link(name, target)
    for plugin in recipe.PLUGINS:
        for name in tree.names(f"{libraries}/{plugin}"):
            staging.copy_program(name, libraries)
    for pattern in recipe.DATA:
        for name in tree.names(pattern):
            staging.copy(name)
    for name in tree.names("usr/share/doc/*/copyright"):
        staging.copy(name)
    _add_modules(staging, tree, modules, version)
    _add_own_files(staging)
    for name, data in own.items():
        staging.write(f"lib/galley/{name}", data, executable=True)
    runc = hashlib.sha256(tree.read(_first(tree, engine.programs["usr/sbin/runc"]))).hexdigest()
    staging.write("lib/galley/runc.sha256", f"{runc}\n".encode())
    staging.write(f"{SKELETON}/etc/ssl/certs/ca-certificates.crt", certificates(tree))


def certificates(tree: PackageTree) -> bytes:
    """The certificates of the authorities that the guest trusts by default."""
    return b"".join(tree.read(name) for name in tree.names(recipe.DATA[0]))


def os_release(suite: str, channel: str) -> bytes:
    """The guest's os-release; `docker info` shows its PRETTY_NAME."""
    return (
        f'PRETTY_NAME="Galley (Debian {suite})"\nNAME="Galley"\nID=debian\nID_LIKE=debian\n'
        f"VERSION_CODENAME={suite}\nVARIANT_ID={channel}\n"
    ).encode()


def _first(tree: PackageTree, paths: tuple[str, ...]) -> str:
    """The first of the paths that a package has, else the first."""
    return next((path for path in paths if tree.has(path)), paths[0])


def _add_modules(
    staging: "Staging", tree: PackageTree, modules: dict[str, kernel.Module], version: str
) -> None:
    base = f"lib/modules/{version}"
    for name, module in modules.items():
        staging.write(f"{base}/{name}.ko", module.data)
    staging.write(f"{base}/modules.dep", kernel.modules_dep(modules, "{}.ko".format).encode())
    staging.write(f"{base}/modules.alias", kernel.modules_alias(modules).encode())
    staging.copy(f"usr/{base}/modules.builtin")
    boot = "".join(f"{name}\n" for name in recipe.BOOT_MODULES)
    staging.write("lib/galley/modules", boot.encode())


def _add_own_files(staging: "Staging") -> None:
    for source in sorted((recipe.FILES / "usr").rglob("*")):
        if source.is_file():
            staging.write_own(source, source.relative_to(recipe.FILES / "usr").as_posix())
    skeleton = recipe.FILES / "skeleton"
    for name in recipe.DIRECTORIES:
        staging.directory(f"{SKELETON}/{name}")
    for source in sorted(skeleton.rglob("*")):
        if source.is_file():
            staging.write_own(source, f"{SKELETON}/{source.relative_to(skeleton).as_posix()}")
    for name, target in recipe.SKELETON_LINKS.items():
        staging.link(f"{SKELETON}/{name}", target)
    for name, target in recipe.LINKS.items():
        staging.link(name, target)
    for applet in (recipe.FILES / "applets").read_text().split():
        if not staging.has(f"bin/{applet}") and not staging.has(f"sbin/{applet}"):
            staging.link(f"bin/{applet}", "busybox")


class Staging:
    """Fills the directory that becomes /usr, and maps paths of packages to paths in it."""

    def __init__(self, tree: PackageTree, usr: Path) -> None:
        self._tree = tree
        self._usr = usr

    def copy(self, name: str, place: str = "") -> None:
        """Copy a file or link of the packages, to its own place if no other one is given; files of
        /etc go to the skeleton."""
        target = self._tree.target(name) if self._tree.has(name) else None
        if not place:
            place = name.removeprefix("usr/") if name.startswith("usr/") else f"{SKELETON}/{name}"
        if self.has(place):
            return
        if target is None:
            self.write(place, self._tree.read(name), self._tree.is_executable(name))
            return
        self.link(place, self._tree.link(name))
        if self._tree.has(target):
            self.copy(target)

    def copy_program(self, name: str, libraries: str, place: str = "") -> None:
        """Copy a program (or library), as `copy` does, and every library it needs."""
        if self.has(place or name.removeprefix("usr/")):
            return
        self.copy(name, place)
        for library in needed_libraries(self._tree.read(name)):
            path = library if "/" in library else f"{libraries}/{library}"
            if not self._tree.has(path):
                raise HostError(RECIPE_NO_LIBRARY, name=name, library=library)
            self.copy_program(path, libraries)

    def has(self, place: str) -> bool:
        path = self._usr / place
        return path.is_symlink() or path.exists()

    def directory(self, place: str) -> None:
        """Make a directory and its parents, readable by every user."""
        path = self._usr / place
        if not path.is_dir():
            self.directory(posixpath.dirname(place)) if place else None
            path.mkdir()
        path.chmod(0o755)

    def write(self, place: str, data: bytes, executable: bool = False) -> None:
        self.directory(posixpath.dirname(place))
        path = self._usr / place
        path.write_bytes(data)
        path.chmod(0o755 if executable else 0o644)

    def write_own(self, source: Path, place: str) -> None:
        """Write one of our files, executable where it begins with `#!`."""
        data = source.read_bytes()
        self.write(place, data, data.startswith(b"#!"))

    def link(self, place: str, target: str) -> None:
        self.directory(posixpath.dirname(place))
        (self._usr / place).symlink_to(target)
