"""The archive the kernel unpacks; that it does is what every start shows."""

from vm.cpio import CpioEntry, cpio


def test_cpio_is_the_same_every_time_and_padded() -> None:
    entries = [CpioEntry("d", 0o040755), CpioEntry("d/file", 0o100644, b"12345")]
    made = cpio(entries)
    assert made == cpio(entries)
    assert made.startswith(b"070701")
    assert len(made) % 4 == 0
    assert b"TRAILER!!!\0" in made
