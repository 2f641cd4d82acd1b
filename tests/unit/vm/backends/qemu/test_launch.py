"""A boot's options on the kernel's command line, which the guest's init reads."""

import pytest

from vm.backends.qemu.launch import kernel_words
from vm.types import BootOptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (BootOptions("AAAA"), ("galley.key=AAAA",)),
        (BootOptions("AAAA", format_disk=True), ("galley.key=AAAA", "galley.format=1")),
        (BootOptions("AAAA", grow_disk=True), ("galley.key=AAAA", "galley.grow=1")),
        (
            BootOptions("AAAA", grow_disk=True, repair_disk=True),
            ("galley.key=AAAA", "galley.grow=1", "galley.fsck=repair"),
        ),
    ],
)
def test_each_option_is_a_kernel_word(options: BootOptions, words: tuple[str, ...]) -> None:
    assert kernel_words(options) == words


def test_the_offset_of_containers_ids_is_a_kernel_word() -> None:
    words = kernel_words(BootOptions("AAAA"), 1_000_000)
    assert words == ("galley.key=AAAA", "galley.remap=1000000")
