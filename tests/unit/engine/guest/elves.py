"""Small ELF files and kernel images, made by hand for these tests."""

import lzma
import struct


def module(name: str, depends: str = "", alias: str = "") -> bytes:
    """A relocatable object with nothing but its .modinfo and its section names."""
    info = f"license=GPL\0name={name}\0depends={depends}\0".encode()
    info += f"alias={alias}\0".encode() if alias else b""
    names = b"\0.modinfo\0.shstrtab\0"
    sections_at = 64 + len(info) + len(names)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, sections_at, 0, 64, 0, 0, 64, 3, 2)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, 64, len(info), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 10, 3, 0, 0, 64 + len(info), len(names), 0, 0, 1, 0)
    return header + info + names + sections


def program(interpreter: str, libraries: list[str]) -> bytes:
    """An executable with the three segments that list its loader and libraries."""
    strings, offsets = b"\0", []
    for library in libraries:
        offsets.append(len(strings))
        strings += library.encode() + b"\0"
    loader = interpreter.encode() + b"\0"
    body_at = 64 + 3 * 56
    strings_at = body_at + len(loader)
    dynamic_at = strings_at + len(strings)
    base = 0x400000
    entries = [(1, offset) for offset in offsets] + [(5, base + strings_at), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", tag, value) for tag, value in entries)
    total = dynamic_at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)
    segments = b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, at, base + at, base + at, size, size, 8)
        for kind, at, size in (
            (3, body_at, len(loader)),
            (1, 0, total),
            (2, dynamic_at, len(dynamic)),
        )
    )
    return header + segments + loader + strings + dynamic


def bzimage(kernel: bytes, size: int | None = None) -> bytes:
    """A bzImage with the fields that locate its compressed kernel."""
    payload = lzma.compress(kernel) + struct.pack("<I", len(kernel) if size is None else size)
    setup_sectors = 3
    image = bytearray((setup_sectors + 1) * 512)
    image[0x1F1] = setup_sectors
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 64, len(payload))
    return bytes(image) + bytes(64) + payload + b"trailing"
