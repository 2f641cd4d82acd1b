"""Extracting the kernel from its bzImage, and modules with their dependencies."""

import gzip
import lzma

import pytest

from engine.guest import kernel
from engine.guest.kernel import Module
from tests.unit.engine.guest.elves import bzimage, module
from vm.errors import HostError

VMLINUX = b"\x7fELF" + bytes(range(256)) * 50


def test_vmlinux_is_extracted_from_a_bzimage() -> None:
    assert kernel.extract_vmlinux(bzimage(VMLINUX)) == VMLINUX


@pytest.mark.parametrize(
    "image",
    [
        b"not a kernel" * 200,
        bzimage(VMLINUX)[:-600],  # cut off
        bzimage(b"not an ELF file" * 100),
        bzimage(VMLINUX, size=7),
    ],
)
def test_an_invalid_bzimage_is_refused(image: bytes) -> None:
    with pytest.raises(HostError):
        kernel.extract_vmlinux(image)


def test_an_arm_image_is_used_as_it_is() -> None:
    image = b"MZ" + bytes(54) + b"ARMd" + b"code"
    assert kernel.extract_vmlinux(image) == image
    assert kernel.extract_vmlinux(gzip.compress(image)) == image


def test_a_module_lists_its_dependencies() -> None:
    plain = module("br_netfilter", "bridge,nf-defrag", "net-pf-7")
    read = kernel.read_module("br-netfilter.ko.xz", lzma.compress(plain))
    assert read == Module("br_netfilter", plain, ("bridge", "nf_defrag"), ("net-pf-7",))


def _modules() -> dict[str, Module]:
    needs = {"a": "b,c", "b": "c", "c": "", "xt_d": "c", "other": "", "x-tables": "xt-d"}
    return kernel.choose(
        needs,
        ("a", "x_t*"),
        lambda name: kernel.read_module(f"{name}.ko", module(name, needs[name])),
    )


def test_chosen_modules_include_their_dependencies() -> None:
    assert list(_modules()) == ["a", "b", "c", "x_tables", "xt_d"]


def test_a_module_comes_after_its_dependencies() -> None:
    assert kernel.in_order(_modules(), ["a", "absent", "x-tables"]) == (
        "c", "b", "a", "xt_d", "x_tables",
    )  # fmt: skip


def test_modules_dep_is_what_modprobe_reads() -> None:
    lines = kernel.modules_dep(_modules(), "{}.ko".format).splitlines()
    assert lines[0] == "a.ko: b.ko c.ko"
    assert lines[2] == "c.ko:"
    aliased = kernel.read_module("a.ko", module("a", alias="fs-a"))
    assert kernel.modules_alias({"a": aliased}) == "alias fs-a a\n"


def test_a_module_signature_is_removed() -> None:
    plain = module("veth")
    signature = bytes(100)
    signed = plain + signature + bytes(8) + (100).to_bytes(4, "big")
    read = kernel.read_module("veth.ko", signed + b"~Module signature appended~\n")
    assert read.data == plain
