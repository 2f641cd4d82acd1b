"""Downloads from a real server on loopback: bounded, resumed, checked, cancelled."""

import errno
import hashlib
import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.images.address import check, join
from engine.images.download import fetch_bytes, fetch_file
from engine.images.source import Access
from tests.authorities import Authority
from tests.unit.engine.images.current import ignore, late
from tests.unit.engine.images.server import DIRECT, Behaviour, Site, serve
from vm.errors import Cancelled, DiskFull, GalleyError, HostError, Retry, SettingsError
from vm.messages import Message, Text

DATA = os.urandom(3_000_001)
SHA256 = hashlib.sha256(DATA).hexdigest()
SLOW = Access(proxies={}, slowest=1024, patience=0.3)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as made:
        made.files["/image"] = DATA
        yield made


def fetch(site: Site, target: Path, access: Access = DIRECT) -> None:
    fetch_file(f"{site.address}/image", target, len(DATA), SHA256, ignore, access)


def refused(site: Site, target: Path, access: Access = DIRECT) -> GalleyError:
    with pytest.raises(GalleyError) as caught:
        fetch(site, target, access)
    return caught.value


def part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def test_a_file_is_downloaded_with_reports(site: Site, tmp_path: Path) -> None:
    texts: list[Text] = []
    target = tmp_path / "image"
    fetch_file(f"{site.address}/image", target, len(DATA), SHA256, texts.append, DIRECT)
    assert target.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [target]
    assert texts[0].english == "Downloading the guest image: 0 MiB of 3 MiB"
    fetch(site, target)
    assert len(site.asked) == 1


def test_a_download_without_a_length_is_complete_by_its_digest(site: Site, tmp_path: Path) -> None:
    site.behaviour = Behaviour(chunked=True)
    fetch(site, tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == DATA


def test_a_cut_off_download_is_resumed(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "image"
    site.behaviour = Behaviour(cut=1_000_000)
    error = refused(site, target)
    assert (error.code, error.retry) == ("download.cut_off", Retry.YES)
    assert part(target).read_bytes() == DATA[:1_000_000]
    site.behaviour = Behaviour()
    fetch(site, target)
    assert target.read_bytes() == DATA
    assert site.asked == [None, "bytes=1000000-"]
    assert site.sent == len(DATA)


def test_a_cancelled_download_is_resumed(site: Site, tmp_path: Path) -> None:
    """Cancelled while the server trickles, which the thread that reads does not delay."""
    target = tmp_path / "image"
    part(target).write_bytes(DATA[:2_000_000])
    site.behaviour = Behaviour(trickles=True)

    def cancel(text: Text) -> None:
        if site.asked:
            raise Cancelled(Message("", "cancelled"))

    with pytest.raises(Cancelled):
        fetch_file(f"{site.address}/image", target, len(DATA), SHA256, cancel, DIRECT)
    kept = part(target).stat().st_size
    assert kept >= 2_000_000
    site.behaviour = Behaviour()
    fetch(site, target)
    assert target.read_bytes() == DATA
    assert site.sent == len(DATA) - kept


def test_the_deadline_of_a_step_is_no_failed_write(site: Site, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        fetch_file(f"{site.address}/image", tmp_path / "image", len(DATA), SHA256, late, DIRECT)


@pytest.mark.parametrize("how", [Behaviour(ranges=False), Behaviour(shift=1)])
def test_a_server_that_ignores_the_range_sends_everything(
    site: Site, tmp_path: Path, how: Behaviour
) -> None:
    site.behaviour = how
    target = tmp_path / "image"
    part(target).write_bytes(DATA[:1_000_000])
    fetch(site, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("kept", [b"old" * 1000, b"old" * 1_000_000 + b"x", b"x" * 4_000_000])
def test_what_is_kept_of_another_file_is_replaced(site: Site, tmp_path: Path, kept: bytes) -> None:
    target = tmp_path / "image"
    part(target).write_bytes(kept)
    fetch(site, target)
    assert target.read_bytes() == DATA


def test_a_file_shorter_than_what_is_kept_is_refused(site: Site, tmp_path: Path) -> None:
    part(tmp_path / "image").write_bytes(DATA[:1_000_000])
    site.files["/image"] = b"short"
    assert refused(site, tmp_path / "image").code == "download.other_size"


def test_another_content_is_refused_and_removed(site: Site, tmp_path: Path) -> None:
    site.files["/image"] = bytes(len(DATA))
    assert refused(site, tmp_path / "image").code == "download.other_content"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("data", [DATA + b"x", DATA * 2])
def test_another_size_is_refused(site: Site, tmp_path: Path, data: bytes, chunked: bool) -> None:
    site.files["/image"] = data
    site.behaviour = Behaviour(chunked=chunked)
    assert refused(site, tmp_path / "image").code == "download.other_size"


def test_a_server_that_trickles_is_given_up(site: Site, tmp_path: Path) -> None:
    site.behaviour = Behaviour(trickles=True)
    error = refused(site, tmp_path / "image", SLOW)
    assert (error.code, error.retry) == ("download.too_slow", Retry.YES)
    with pytest.raises(HostError) as caught:
        fetch_bytes(f"{site.address}/image", 1 << 20, ignore, SLOW)
    assert caught.value.code == "download.too_slow"


def test_a_server_that_does_not_answer_is_given_up() -> None:
    texts: list[Text] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/index"
        with pytest.raises(HostError) as caught:
            fetch_bytes(address, 10, texts.append, SLOW)
        assert (caught.value.code, caught.value.retry) == ("download.silent", Retry.YES)
    assert texts


def test_the_status_of_a_server_says_whether_a_retry_can_help(site: Site, tmp_path: Path) -> None:
    for status, retry in ((404, Retry.NO), (407, Retry.NO), (429, Retry.YES), (503, Retry.YES)):
        site.behaviour = Behaviour(status=status)
        error = refused(site, tmp_path / "image")
        assert (error.code, error.retry) == ("download.status", retry)
        assert str(status) in error.summary


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with serve() as site:
        pass
    error = refused(site, tmp_path / "image")
    assert (error.code, error.retry) == ("download.failed", Retry.YES)
    assert "refused" in error.summary


def test_a_redirect_without_encryption_is_refused(site: Site, tmp_path: Path) -> None:
    for target in (f"{site.address}/other?token=secret", "ftp://example.com/image"):
        site.behaviour = Behaviour(redirect=target)
        error = refused(site, tmp_path / "image")
        assert error.code == "download.redirected"
        assert "secret" not in error.summary
    site.behaviour = Behaviour(redirect="file:///etc/passwd")
    assert refused(site, tmp_path / "image").code == "download.status"


def test_https_needs_a_trusted_certificate(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate lacks what Python 3.13 demands by default, as those of companies do."""
    authority = Authority("company")
    (tmp_path / "ca").write_bytes(authority.pem)
    for name, data in zip(("cert", "key"), authority.server("127.0.0.1"), strict=True):
        (tmp_path / name).write_bytes(data)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with serve(tls) as secure:
        secure.files["/image"] = DATA
        error = refused(secure, tmp_path / "image")
        assert (error.code, error.retry) == ("download.certificate", Retry.NO)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca"))
        site.behaviour = Behaviour(redirect=f"{secure.address}/image")
        fetch(site, tmp_path / "image")
        assert (tmp_path / "image").read_bytes() == DATA


def test_a_proxy_is_used(site: Site) -> None:
    """It gets the whole address, whose path is that of the file."""
    access = Access(proxies={"http": site.address}, insecure=True)
    assert fetch_bytes("http://example.com/image", 1 << 22, ignore, access) == DATA
    assert len(site.asked) == 1


def test_small_files_are_bounded(site: Site) -> None:
    site.files["/index"] = b"x" * 1000
    for chunked in (False, True):
        site.behaviour = Behaviour(chunked=chunked)
        assert fetch_bytes(f"{site.address}/index", 1000, ignore, DIRECT) == b"x" * 1000
        with pytest.raises(HostError) as caught:
            fetch_bytes(f"{site.address}/index", 999, ignore, DIRECT)
        assert caught.value.code == "download.too_large"
    site.behaviour = Behaviour(cut=10)
    with pytest.raises(HostError) as caught:
        fetch_bytes(f"{site.address}/index", 1000, ignore, DIRECT)
    assert caught.value.code == "download.cut_off"


def test_a_folder_is_read_by_path_and_by_address(tmp_path: Path) -> None:
    folder = tmp_path / "a share"
    folder.mkdir()
    (folder / "image").write_bytes(DATA)
    for number, address in enumerate((str(folder), folder.as_uri())):
        target = tmp_path / str(number)
        part(target).write_bytes(DATA[:1000])
        fetch_file(join(address, "image"), target, len(DATA), SHA256, ignore)
        assert target.read_bytes() == DATA
    os.mkfifo(folder / "pipe")
    for name in ("missing", "pipe", "."):
        with pytest.raises(HostError) as caught:
            fetch_bytes(join(str(folder), name), 10, ignore)
        assert caught.value.code == "download.not_read"


def test_addresses_are_checked() -> None:
    for good in ("https://example.com/a", "http://127.0.0.1:80/", "http://[::1]/", "/srv/feed"):
        check(good)
    check("http://example.com/", insecure=True)
    for bad in (
        "", "feed", "ftp://example.com/", "https://", "https://[/", "https://example.com:x/",
        "https://example.com/a b", "file://example.com/a", "file:a", "data:,x", "/a\0b",
    ):  # fmt: skip
        with pytest.raises(SettingsError) as caught:
            check(bad)
        assert caught.value.code == "download.bad_address", bad
    with pytest.raises(SettingsError) as caught:
        check("http://example.com/")
    assert caught.value.code == "download.insecure"
    with pytest.raises(SettingsError) as caught:
        check("https://ann:secret@" + "example.com/")
    assert "secret" not in caught.value.summary


def test_a_name_goes_before_the_query() -> None:
    assert join("https://example.com/a/?t=1", "b c") == "https://example.com/a/b%20c?t=1"
    assert join("https://example.com", "b") == "https://example.com/b"


def test_a_disk_without_room_is_an_error_before_the_download(site: Site, small_disk: Path) -> None:
    error = refused(site, small_disk / "image")
    assert isinstance(error, DiskFull)
    assert "needs 3 MiB, and 1 MiB are free" in error.summary
    assert not site.asked


def test_a_disk_that_fills_up_is_an_error(
    site: Site, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 1 << 40))
    error = refused(site, small_disk / "image")
    assert isinstance(error, DiskFull)
    assert error.code == "disk.full"
    assert part(small_disk / "image").exists()


def test_a_folder_that_cannot_be_written_is_an_error(site: Site, tmp_path: Path) -> None:
    error = refused(site, tmp_path / "missing" / "image")
    assert error.code == "transfer.not_written"
    assert os.strerror(errno.ENOENT) in error.summary
