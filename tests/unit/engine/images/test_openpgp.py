"""One key out of a file, with keys of the real gpg."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.images.openpgp import only_key
from tests.debian_repository import Key, run, signing_key


@pytest.fixture(scope="module")
def ours() -> Iterator[Key]:
    with signing_key() as key:
        yield key


@pytest.fixture(scope="module")
def other() -> Iterator[Key]:
    with signing_key() as key:
        yield key


def armored(key: Key) -> bytes:
    return run(["gpg", "--homedir", key.home, "--armor", "--export"])


def shown(text: str, folder: Path) -> str:
    """The fingerprints that gpg sees in it."""
    gpg: list[str | Path] = ["gpg", "--homedir", folder, "--with-colons", "--show-keys"]
    done = subprocess.run(gpg, input=text.encode(), check=True, capture_output=True)
    lines = [line.split(":") for line in done.stdout.decode().splitlines()]
    return " ".join(fields[9] for fields in lines if fields[0] == "fpr")


def test_a_key_is_the_same_from_an_armored_and_a_binary_file(ours: Key, tmp_path: Path) -> None:
    made = only_key(ours.public.read_bytes(), ours.fingerprint)
    assert only_key(armored(ours), ours.fingerprint) == made
    assert only_key(armored(ours).replace(b"\n", b"\r\n"), ours.fingerprint) == made
    assert shown(made, tmp_path) == ours.fingerprint


def test_other_keys_in_the_file_are_left_out(ours: Key, other: Key, tmp_path: Path) -> None:
    alone = only_key(ours.public.read_bytes(), ours.fingerprint)
    for file in (
        ours.public.read_bytes() + other.public.read_bytes(),
        other.public.read_bytes() + ours.public.read_bytes(),
        ours.public.read_bytes() + other.public.read_bytes() + ours.public.read_bytes(),
    ):
        assert only_key(file, ours.fingerprint) == alone
    assert shown(alone, tmp_path) == ours.fingerprint


def test_a_file_without_the_key_has_none(ours: Key, other: Key) -> None:
    assert only_key(other.public.read_bytes(), ours.fingerprint) == ""
    assert only_key(b"", ours.fingerprint) == ""


def test_a_file_that_is_cut_off_anywhere_is_refused_or_has_no_key(ours: Key) -> None:
    whole = ours.public.read_bytes()
    body = 2 + whole[1]  # of the packet with the key
    for end in range(len(whole)):
        try:
            kept = only_key(whole[:end], ours.fingerprint)
        except ValueError:
            continue
        assert not kept or end >= body
    for text in (armored(ours)[:-40], armored(ours).replace(b"\n\n", b"\n!\n\n!"), b"<html>"):
        with pytest.raises(ValueError, match=r"armor|packet"):
            only_key(text, ours.fingerprint)


@pytest.mark.parametrize(
    "packet", [b"\xc6\xff\x00", b"\xc6\xe1", b"\x9b", b"\x99\xff\xff", b"\xc6\xc0", b"\x98"]
)
def test_a_length_that_is_none_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match=r"length|cut off"):
        only_key(packet, "A" * 40)
