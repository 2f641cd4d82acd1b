"""Makes Debian's kernel boot faster: extracts the ELF image, and decompresses the modules."""

import gzip
import lzma
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch

import msgspec

from engine.messages.image import (
    KERNEL_BAD_LENGTH,
    KERNEL_CUT_OFF,
    KERNEL_NO_IMAGE,
    KERNEL_NO_ZSTD,
    KERNEL_NOT_UNPACKED,
)
from vm.errors import HostError
from vm.host import process

_SIGNED = b"~Module signature appended~\n"


class Module(msgspec.Struct, frozen=True):
    """A kernel module: its uncompressed content, and fields of its .modinfo section."""

    name: str
    data: bytes
    needs: tuple[str, ...]
    aliases: tuple[str, ...]


def extract_vmlinux(image: bytes) -> bytes:
    """The ELF kernel inside a bzImage, so that QEMU enters it directly (PVH) and the guest does
    not spend its first second on unpacking itself. Raises HostError for anything else.

    An arm64 kernel (`MZ`… with its magic at 56, or gzip) is not an ELF file and is used as it is.
    """
    if image[:2] == b"\x1f\x8b":
        return gzip.decompress(image)
    if image[56:60] == b"ARMd":
        return image
    if image[0x202:0x206] != b"HdrS":
        raise HostError(KERNEL_NO_IMAGE)
    setup = ((image[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[setup + offset : setup + offset + length]
    if len(payload) != length or length < 8:
        raise HostError(KERNEL_CUT_OFF)
    # The last four bytes are the size after decompression.
    (size,) = struct.unpack("<I", payload[-4:])
    vmlinux = decompress(payload[:-4])
    if vmlinux[:4] != b"\x7fELF" or len(vmlinux) != size:
        raise HostError(KERNEL_BAD_LENGTH)
    return vmlinux


def decompress(data: bytes) -> bytes:
    """Decompress gzip, xz or zstd, by the first bytes (zstd by the program: Python 3.12 has
    none)."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        done = process.run([process.find_tool("zstd", KERNEL_NO_ZSTD), "-dcq"], stdin=data)
        if not done.ok:
            raise HostError(KERNEL_NOT_UNPACKED, details=done.tail())
        return done.stdout
    return data


def read_module(file_name: str, data: bytes) -> Module:
    """`file_name` is the last part of its path: `veth.ko`, `veth.ko.xz`."""
    plain = _without_signature(decompress(data))
    info = re.findall(rb"(?:^|\0)(depends|alias|softdep)=([^\0]*)", _modinfo(plain))
    fields = [(key.decode(), value.decode()) for key, value in info]
    needs = [name for key, value in fields if key == "depends" for name in value.split(",")]
    return Module(
        canonical(file_name.split(".ko")[0]),
        plain,
        tuple(canonical(name) for name in needs if name),
        tuple(value for key, value in fields if key == "alias"),
    )


def canonical(name: str) -> str:
    """modprobe treats - and _ as the same."""
    return name.replace("-", "_")


def _without_signature(module: bytes) -> bytes:
    """Without secure boot no signature is needed, and checking it takes longer than loading."""
    if not module.endswith(_SIGNED):
        return module
    at = len(module) - len(_SIGNED) - 12
    signer, key, length = struct.unpack_from(">3xBB3xI", module, at)
    return module[: at - length - signer - key]


def _modinfo(module: bytes) -> bytes:
    """The .modinfo section of a relocatable 64-bit ELF file."""
    (sections_at,) = struct.unpack_from("<Q", module, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", module, 0x3A)
    sections = [
        struct.unpack_from("<II8x8xQQ", module, sections_at + index * size)
        for index in range(count)
    ]
    names_at = sections[names_index][2]
    for name, _, offset, length in sections:
        if module.startswith(b".modinfo\0", names_at + name):
            return module[offset : offset + length].replace(b"\0", b"\0\0")
    return b""


def choose(
    available: Iterable[str], patterns: Iterable[str], load: Callable[[str], Module]
) -> dict[str, Module]:
    """The modules whose names match, and those that they need, sorted by name."""
    names = {canonical(name): name for name in available}
    chosen: dict[str, Module] = {}
    wanted = [
        name for name in names if any(fnmatch(name, canonical(pattern)) for pattern in patterns)
    ]
    while wanted:
        name = wanted.pop()
        if name in chosen or name not in names:
            continue
        chosen[name] = load(names[name])
        wanted += chosen[name].needs
    return dict(sorted(chosen.items()))


def in_order(modules: Mapping[str, Module], names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once and after everything it needs; built-in modules are left out."""
    done: dict[str, None] = {}

    def add(name: str) -> None:
        if name not in done and name in modules:
            for need in modules[name].needs:
                add(need)
            done[name] = None

    for name in names:
        add(canonical(name))
    return tuple(done)


def modules_dep(modules: Mapping[str, Module], path: Callable[[str], str]) -> str:
    """The content of modules.dep: what each module needs, nearest first."""
    lines: list[str] = []
    for name, module in modules.items():
        needs = [need for need in reversed(in_order(modules, [name])) if need != name]
        lines.append(f"{path(module.name)}: {' '.join(path(need) for need in needs)}".rstrip())
    return "\n".join(lines) + "\n"


def modules_alias(modules: Mapping[str, Module]) -> str:
    """The content of modules.alias, by which modprobe finds a module that the kernel requests."""
    return "".join(
        f"alias {alias} {module.name}\n" for module in modules.values() for alias in module.aliases
    )
