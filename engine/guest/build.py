"""Builds the guest image: one recipe in, a directory of verified parts out.

    packages    mmdebstrap downloads and unpacks them (none of their code runs: needs no root)
    parts       vmlinux, initramfs and root.qcow2 are made of chosen files
    manifest    written last, beside the parts; then the directory gets its name in one rename

`build` returns an image of the current recipe, whatever its packages; `build_anew` one with the
packages of today. The same recipe and packages give the same bytes. A build that fails or is
cancelled leaves nothing. Next: `recipe.py`, `packages.py`, `rootfs.py`.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.guest import event_module, kernel, packages, recipe, rootfs, sources
from engine.guest.apt_output import refusal
from engine.guest.archive import PackageTree
from engine.guest.channels import ENGINES, Channel
from engine.guest.images_lock import BUILDS, only_one
from engine.guest.recipe import recipe_hash
from engine.messages.image import (
    CHECK_NO_SOURCE,
    RECIPE_AGAIN,
    RECIPE_FILES,
    RECIPE_INSTALL,
    RECIPE_KERNEL,
    RECIPE_NO_IDS,
    RECIPE_NO_NETWORK,
    RECIPE_NO_ROOM,
    RECIPE_NO_ROOT,
    RECIPE_NOT_COMPILED,
    RECIPE_OLDER,
    RECIPE_ROOT,
    RECIPE_UNPACK,
)
from vm import image
from vm.errors import HostError, ImageDamaged, Retry
from vm.host import process, sparse
from vm.host.paths import write_atomic
from vm.messages import Text

PERIOD = 0.25  # seconds between two reports of a program that runs
EPOCH = "1735689600"  # the time of every file in the image
# Our programs.
OWN = ("relay", "events", "keeper", "ports", "listeners", "sealed", "handover", "flows")
STATIC = ("-static",)  # it starts sooner, and the build's libraries need not be the guest's
SHARED = ("-shared", "-fPIC")  # uses only functions that every C library has had for years
UUID = "67616c6c-6579-4000-8000-000000000001"
PARTS = ("vmlinux", "initramfs", "root.qcow2", image.CERTIFICATES)


class Wanted(msgspec.Struct, frozen=True):
    """The image to build. `repository`: the source of the channel's engine, as deb822, where it is
    not Debian's."""

    channel: Channel
    arch: str
    repository: str = ""


KERNELS = {"amd64": "linux-image-cloud-amd64", "arm64": "linux-image-cloud-arm64"}


def find_current(
    images: Path, channel: Channel = Channel.STABLE, arch: str | None = None
) -> tuple[Path, ...]:
    """The images of the current recipe, those with the newest packages first. Their parts are not
    verified."""
    recipe_now = recipe_hash(channel, arch)
    found: list[tuple[str, str, Path]] = []
    for path in image.find(images):
        try:
            manifest = image.read_manifest(path)
        except ImageDamaged:
            continue
        if manifest.recipe == recipe_now:
            found.append((manifest.date, path.name, path))
    return tuple(path for _date, _name, path in sorted(found, reverse=True))


def build(
    destination: Path,
    *,
    channel: Channel = Channel.STABLE,
    arch: str | None = None,
    repository: str = "",
    progress: Callable[[Text], None],
) -> Path:
    """The directory of a verified image of the current recipe below `destination`; built when
    there is none, or when those are damaged. `repository`: as in `Wanted`.

    Raises HostError (ToolMissing, DiskFull) with the last lines of the failed command, and what
    `progress` raises.
    """
    wanted = Wanted(channel, arch or recipe.architecture(), repository)
    found = _find_sound(destination, wanted, progress)
    if found is not None:
        return found
    with only_one(destination, progress):
        return _find_sound(destination, wanted, progress) or _build(
            destination, wanted, progress, may_be_older=True
        )


def build_anew(
    destination: Path,
    *,
    channel: Channel = Channel.STABLE,
    arch: str | None = None,
    repository: str = "",
    progress: Callable[[Text], None],
) -> Path:
    """Like `build`, with the packages that Debian has now. An image that already has them stays
    as it is, and one that another process builds meanwhile is taken. Raises HostError, too, when
    the package lists are older than those of an image."""
    wanted = Wanted(channel, arch or recipe.architecture(), repository)
    before = find_current(destination, wanted.channel, wanted.arch)
    with only_one(destination, progress):
        if find_current(destination, wanted.channel, wanted.arch)[:1] != before[:1]:
            found = _find_sound(destination, wanted, progress)
            if found is not None:
                return found
        return _build(destination, wanted, progress)


def _find_sound(images: Path, wanted: Wanted, progress: Callable[[Text], None]) -> Path | None:
    for found in find_current(images, wanted.channel, wanted.arch):
        try:
            image.verify(found)
            return found
        except ImageDamaged as error:
            progress(RECIPE_AGAIN.text(damage=error))
    return None


def _build(
    destination: Path,
    wanted: Wanted,
    progress: Callable[[Text], None],
    *,
    may_be_older: bool = False,
) -> Path:
    for tool in (recipe.compiler(wanted.arch), "mmdebstrap", "mkfs.erofs", "qemu-img", "zstd"):
        process.find_tool(tool, RECIPE_INSTALL)
    with tempfile.TemporaryDirectory(prefix=BUILDS, dir=destination) as name:
        work = Path(name)
        made = work / "image"
        made.mkdir(mode=0o755)
        _make_parts(work, made, wanted, progress)
        if not may_be_older:
            _check_not_older(image.read_manifest(made), destination)
        return image.settle(made, destination, work / "old")


def _check_not_older(made: image.Manifest, images: Path) -> None:
    """A mirror may replay old lists, or be behind another one. Raises HostError."""
    dates = {(each.origin, each.codename): each.date for each in made.releases}
    for path in image.find(images):
        with contextlib.suppress(ImageDamaged):
            other = image.read_manifest(path)
            if (other.channel, other.arch) != (made.channel, made.arch):
                continue
            for kept in other.releases:
                date = dates.get((kept.origin, kept.codename), kept.date)
                if date < kept.date:
                    raise HostError(
                        RECIPE_OLDER,
                        codename=kept.codename,
                        date=date,
                        kept=kept.date,
                        retry=Retry.YES,
                    )


def _make_parts(work: Path, made: Path, wanted: Wanted, progress: Callable[[Text], None]) -> None:
    channel, arch = wanted.channel, wanted.arch
    tar, installed = _unpack(work, wanted, progress)
    with PackageTree(tar) as tree:
        progress(RECIPE_KERNEL.text())
        version, modules = rootfs.load_modules(tree)
        vmlinux = kernel.extract_vmlinux(rootfs.kernel_image(tree))
        with (made / "vmlinux").open("wb") as file:
            sparse.write(file, vmlinux)  # a sixth of it is zeros
            file.truncate()
        (made / "initramfs").write_bytes(rootfs.initramfs(tree, modules))
        progress(RECIPE_FILES.text())
        usr = work / "usr"
        usr.mkdir(mode=0o755)
        own = _compile_own(work, arch, progress)
        progress(RECIPE_FILES.text())
        own["events.ko"] = event_module.build(vmlinux, modules.values(), work, arch)
        progress(RECIPE_FILES.text())
        rootfs.stage_root(tree, modules, version, arch, channel, usr, own)
        (made / image.CERTIFICATES).write_bytes(rootfs.certificates(tree))
    tar.unlink()
    _make_root(work / "root.erofs", usr, made / "root.qcow2", progress)
    parts = tuple(image.describe(made / name) for name in PARTS)
    image.write_manifest(
        made,
        image.Manifest(
            format=image.FORMAT,
            suite=ENGINES[channel].suite,
            channel=channel,
            arch=arch,
            recipe=recipe_hash(channel, arch),
            kernel=version,
            date=installed.date,
            releases=installed.releases,
            packages=installed.packages,
            parts=parts,
        ),
    )


def _unpack(
    work: Path, wanted: Wanted, progress: Callable[[Text], None]
) -> tuple[Path, packages.Installed]:
    """The unpacked packages as a tar, and what they are. Runs none of their code."""
    suite = ENGINES[wanted.channel].suite
    tar = work / "packages.tar"
    lines: list[str] = []
    progress(RECIPE_UNPACK.text(suite=suite))
    told = time.monotonic()

    def on_line(line: str) -> None:
        nonlocal told
        lines.append(line)
        if time.monotonic() - told >= PERIOD:
            progress(RECIPE_UNPACK.text(suite=suite))
            told = time.monotonic()

    argv = _mmdebstrap(work, tar, wanted)
    done = process.stream(argv, on_line, env={"SOURCE_DATE_EPOCH": EPOCH})
    if not done.ok:
        raise _unpack_failed(wanted, done)
    return tar, packages.read(lines)


def _mmdebstrap(work: Path, tar: Path, wanted: Wanted) -> list[str]:
    """The command line. Raises HostError."""
    engine, apt = ENGINES[wanted.channel], sources.read_config()
    mirrors = apt.mirrors(engine.suite)
    if wanted.repository and not mirrors:  # else mmdebstrap takes Debian's own mirror
        raise HostError(CHECK_NO_SOURCE, suite=engine.suite, retry=Retry.NO)
    options = work / "apt.conf"  # in the arguments, every user could read a proxy's password
    write_atomic(options, "\n".join([*apt.options, ""]).encode())
    names = sorted([*recipe.PACKAGES, *engine.packages, KERNELS[wanted.arch]])
    argv = [
        "mmdebstrap",
        "--variant=extract",
        "--format=tar",
        f"--architectures={wanted.arch}",
        f"--include={','.join(names)}",
        f"--aptopt={options}",
        f"--extract-hook={packages.HOOK}",
        engine.suite,
        str(tar),
        *mirrors,
    ]
    if wanted.repository:
        file = work / "repository.sources"
        file.write_text(wanted.repository)
        argv.append(str(file))
    return argv


def _unpack_failed(wanted: Wanted, done: process.Completed) -> HostError:
    output = done.stdout.decode(errors="replace")
    suite = ENGINES[wanted.channel].suite
    refused = refusal(output, suite, wanted.repository, done.tail())
    if refused is not None:
        return refused
    if "No space left" in output:
        message = RECIPE_NO_ROOM
    elif "subuid" in output or "unshare" in output:
        message = RECIPE_NO_IDS
    else:
        message = RECIPE_NO_NETWORK
    return HostError(message, details=done.tail())


def _compile_own(work: Path, arch: str, progress: Callable[[Text], None]) -> dict[str, bytes]:
    """Our programs and libraries by name."""
    flags = {**dict.fromkeys(OWN, STATIC), "sftp_line": SHARED}
    own: dict[str, bytes] = {}
    for name, flag in flags.items():
        progress(RECIPE_FILES.text())
        made = f"{name}.so" if flag is SHARED else name
        own[made] = _compile(recipe.FILES / "source" / f"{name}.c", work, arch, flag)
    return own


def _compile(source: Path, work: Path, arch: str, flags: tuple[str, ...]) -> bytes:
    made = work / source.stem
    flags = ("-O2", "-s", "-Wl,--build-id=none", *flags)
    done = process.run([recipe.compiler(arch), *flags, "-o", str(made), str(source)])
    if not done.ok:
        raise HostError(
            RECIPE_NOT_COMPILED, name=source.name, hint=RECIPE_INSTALL, details=done.tail()
        )
    return made.read_bytes()


def _make_root(erofs: Path, usr: Path, target: Path, progress: Callable[[Text], None]) -> None:
    """An uncompressed erofs in a compressed disk image, so that QEMU decompresses it. That would
    cost a guest with an emulated CPU a tenth of its start, and 30 MiB of memory.
    """
    own = ["--all-root", "--all-time", f"-T{EPOCH}", f"-U{UUID}"]
    compressed = ["-c", "-O", "qcow2", "-o", "compression_type=zstd,cluster_size=32K"]
    for argv in (
        ["mkfs.erofs", "--quiet", *own, str(erofs), str(usr)],
        ["qemu-img", "convert", "-f", "raw", *compressed, str(erofs), str(target)],
    ):
        progress(RECIPE_ROOT.text())
        done = process.run(argv)
        if not done.ok:
            raise HostError(RECIPE_NO_ROOT, details=done.tail())
