"""Signatures of the real minisign, of both kinds, and altered ones."""

import base64
from pathlib import Path

import pytest

from engine.images.minisign import LARGEST, PublicKey, verify
from tests.unit.engine.images.signer import Signer
from vm.errors import HostError, SettingsError

KINDS = [pytest.param((), id="hashed"), pytest.param(("-l",), id="legacy")]
DATA = b'{"format": 1}' * 100


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path / "keys")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "index.json"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("options", KINDS)
def test_a_signature_gives_its_trusted_comment(
    signer: Signer, file: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    signature = signer.sign(file, *options, "-t", "serial 7, für alle")
    assert base64.b64decode(signature.split("\n")[1])[:2] == (b"Ed" if options else b"ED")
    other = Signer(tmp_path / "other").key
    assert verify(DATA, signature, [other, signer.key]) == "serial 7, für alle"
    assert verify(DATA, signature.replace("\n", "\r\n"), [signer.key]) == "serial 7, für alle"


@pytest.mark.parametrize("options", KINDS)
def test_other_data_or_another_comment_do_not_match(
    signer: Signer, file: Path, options: tuple[str, ...]
) -> None:
    signature = signer.sign(file, *options, "-t", "serial 7")
    for data, text in (
        (DATA + b" ", signature),
        (DATA, signature.replace("serial 7", "serial 8")),
        (DATA, signature.replace("serial 7", "serial 7 ")),
    ):
        with pytest.raises(HostError) as caught:
            verify(data, text, [signer.key])
        assert caught.value.code == "signature.wrong"
        assert signer.key.name in caught.value.summary


def test_a_key_that_is_not_trusted_is_named(signer: Signer, file: Path, tmp_path: Path) -> None:
    signature = signer.sign(file)
    assert signer.key.name in signer.public.read_text().split("\n")[0]
    for keys in ([], [Signer(tmp_path / "other").key]):
        with pytest.raises(HostError, match=signer.key.name) as caught:
            verify(DATA, signature, keys)
        assert caught.value.code == "signature.unknown_key"


def test_a_key_of_the_same_id_does_not_match(signer: Signer, file: Path, tmp_path: Path) -> None:
    forged = PublicKey(signer.key.key_id, Signer(tmp_path / "other").key.key)
    with pytest.raises(HostError) as caught:
        verify(DATA, signer.sign(file), [forged])
    assert caught.value.code == "signature.wrong"


def test_text_that_is_no_signature_is_malformed(signer: Signer, file: Path) -> None:
    lines = signer.sign(file).split("\n")
    sound = "\n".join(lines)
    other_kind = base64.b64encode(b"EX" + base64.b64decode(lines[1])[2:]).decode()
    for text in (
        "",
        "<html>not found</html>",
        "\n".join(lines[:3]),
        sound + "more\n",
        sound.replace("trusted comment: ", "comment: "),
        sound.replace(lines[1], lines[1][:-4]),
        sound.replace(lines[1], other_kind),
        sound.replace(lines[3], "é" + lines[3]),
        sound.replace("trusted", "trusted" * LARGEST, 1),
    ):
        with pytest.raises(HostError) as caught:
            verify(DATA, text, [signer.key])
        assert caught.value.code == "signature.malformed", text[:100]


def test_a_public_key_is_a_line_or_a_file(signer: Signer) -> None:
    text = signer.public.read_text()
    line = text.split("\n")[1]
    assert PublicKey.parse(line) == PublicKey.parse(f" {line}\n") == signer.key
    assert PublicKey.parse(text.replace("\n", "\r\n")) == signer.key
    for bad in ("", "RW", line[:-1], f"{line}\n{line}", f"{text}{line}", line.replace("RW", "SW")):
        with pytest.raises(SettingsError) as caught:
            PublicKey.parse(bad)
        assert caught.value.code == "signature.bad_key"
