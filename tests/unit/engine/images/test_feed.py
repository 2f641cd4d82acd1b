"""A feed that the real minisign has signed, published to a folder and served on loopback."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.images.feed import INDEX, Feed, FeedImage, Index, check_newer, newest
from engine.images.publish import publish
from tests import small_image
from tests.small_image import MANIFEST
from tests.unit.engine.images.current import CURRENT, LATER, OTHER_ARCH, ignore, late
from tests.unit.engine.images.server import Behaviour, Site, serve
from tests.unit.engine.images.signer import Signer
from vm import image
from vm.errors import Cancelled, GalleyError, HostError, ImageDamaged, SettingsError
from vm.host.lock import FileLock
from vm.image import Manifest
from vm.messages import Message, Text

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KIND = (CURRENT.channel, CURRENT.arch, CURRENT.recipe)


class Publisher:
    """Publishes two images to a folder that a server has, too."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder = folder / "feed"
        self.site = site
        self.signer = Signer(folder / "keys")
        made = [small_image.add_to(folder / "made", each) for each in (CURRENT, LATER)]
        self.images = made
        self.publish(7)

    def publish(self, serial: int, now: datetime = NOW) -> Index:
        """In place of the index that is there, whatever its serial number."""
        (self.folder / INDEX).unlink(missing_ok=True)
        index = publish(
            self.images,
            self.folder,
            serial,
            now,
            progress=ignore,
            fixes={LATER.directory_name: ("CVE-2026-1234",)},
        )
        self.sign()
        return index

    def sign(self) -> None:
        self.signer.sign(self.folder / INDEX)
        self.site.add_folder(self.folder)

    def write(self, data: bytes) -> None:
        """Another index, with a signature that matches."""
        (self.folder / INDEX).write_bytes(data)
        self.sign()


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as made:
        yield made


@pytest.fixture
def publisher(tmp_path: Path, site: Site) -> Publisher:
    return Publisher(tmp_path, site)


@pytest.fixture
def feed(publisher: Publisher, site: Site, tmp_path: Path) -> Feed:
    return Feed(site.address, [publisher.signer.key], tmp_path / "state" / "feeds.json", {})


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def latest(feed: Feed) -> FeedImage:
    found = newest(feed.index(NOW, ignore), *KIND)
    assert found is not None
    return found


def refused(feed: Feed, now: datetime = NOW) -> GalleyError:
    with pytest.raises(HostError) as caught:
        feed.index(now, ignore)
    return caught.value


def test_the_newest_image_of_the_recipe_is_found(feed: Feed, publisher: Publisher) -> None:
    texts: list[Text] = []
    index = feed.index(NOW, texts.append)
    assert (index.serial, index.created, index.expires) == (7, NOW, NOW + 30 * DAY)
    assert [one.directory_name for one in index.images] == [p.name for p in publisher.images]
    found = newest(index, *KIND)
    assert found is index.images[1]
    assert (found.date, found.fixes) == (LATER.date, ("CVE-2026-1234",))
    assert newest(index, CURRENT.channel, CURRENT.arch, "abc") is None
    assert newest(index, CURRENT.channel, OTHER_ARCH, CURRENT.recipe) is None
    assert newest(index, "latest", CURRENT.arch, CURRENT.recipe) is None
    assert texts[0].code == "download.reading"


def test_an_image_is_fetched_once(feed: Feed, latest: FeedImage, images: Path, site: Site) -> None:
    asked = len(site.asked)
    found = feed.fetch(latest, images, ignore)
    assert found == images / LATER.directory_name
    assert image.verify(found).package_set == latest.package_set
    assert sorted(path.name for path in images.iterdir()) == [".lock", found.name]
    assert feed.fetch(latest, images, ignore) == found
    assert len(site.asked) == asked + 1
    (found / "vmlinux").write_bytes(b"kernem")
    assert feed.fetch(latest, images, ignore) == found
    image.verify(found)


def test_a_folder_is_a_feed(publisher: Publisher, images: Path, tmp_path: Path) -> None:
    feed = Feed(str(publisher.folder), [publisher.signer.key], tmp_path / "state")
    found = newest(feed.index(NOW, ignore), *KIND)
    assert found is not None
    assert feed.fetch(found, images, ignore).name == LATER.directory_name


def test_a_fetch_that_ends_early_is_resumed(
    feed: Feed, latest: FeedImage, images: Path, site: Site
) -> None:
    site.behaviour = Behaviour(cut=100)
    with pytest.raises(HostError, match="ended after 100 bytes"):
        feed.fetch(latest, images, ignore)
    site.behaviour, site.sent = Behaviour(), 0
    older = images / ".fetch-0123456789abcdef"
    older.mkdir()

    def cancel(text: Text) -> None:
        if text.code == "image.importing":
            raise Cancelled(Message("", "cancelled"))

    with pytest.raises(Cancelled):
        feed.fetch(latest, images, cancel)
    assert not (images / LATER.directory_name).exists()
    feed.fetch(latest, images, ignore)
    assert site.asked[-1] == "bytes=100-"
    assert site.sent == latest.size - 100
    assert not older.exists()


def test_a_second_fetch_waits_and_finds_the_image(
    feed: Feed, latest: FeedImage, images: Path, site: Site
) -> None:
    waits = threading.Event()
    found: list[Path] = []

    def note(text: Text) -> None:
        if text.code == "image.waiting":
            waits.set()

    images.mkdir()
    with FileLock(images / ".lock"):
        second = threading.Thread(target=lambda: found.append(feed.fetch(latest, images, note)))
        second.start()
        assert waits.wait(10)
        small_image.add_to(images, LATER)
        asked = len(site.asked)
    second.join()
    assert found == [images / LATER.directory_name]
    assert len(site.asked) == asked


def test_a_waiting_fetch_is_cancelled(feed: Feed, latest: FeedImage, images: Path) -> None:
    def cancel(text: Text) -> None:
        raise Cancelled(Message("", text.english))

    images.mkdir()
    with FileLock(images / ".lock"), pytest.raises(Cancelled, match="Waiting for another"):
        feed.fetch(latest, images, cancel)


def test_the_deadline_of_a_step_ends_a_fetch(feed: Feed, latest: FeedImage, images: Path) -> None:
    images.mkdir()
    with FileLock(images / ".lock"), pytest.raises(TimeoutError):
        feed.fetch(latest, images, late)


def test_an_image_other_than_the_listed_one_is_refused(
    feed: Feed, latest: FeedImage, images: Path
) -> None:
    for changes in (
        {"package_set": "0" * 12},
        {"date": "2026-11-30T00:00:00Z"},
        {"channel": "../.."},
        {"arch": "other"},
        {"recipe": "0123456789abcdef"},
    ):
        with pytest.raises(ImageDamaged) as caught:
            feed.fetch(msgspec.structs.replace(latest, **changes), images, ignore)
        assert caught.value.code == "feed.other_image"
        assert next(iter(changes.values())) in caught.value.summary
    assert not [path for path in images.iterdir() if not path.name.startswith((".fetch", ".lock"))]


def test_an_unsigned_index_is_not_decoded(feed: Feed, publisher: Publisher, tmp_path: Path) -> None:
    (publisher.folder / INDEX).write_bytes(b"not even JSON")
    publisher.site.add_folder(publisher.folder)
    assert refused(feed).code == "signature.wrong"
    publisher.signer = Signer(tmp_path / "other")
    publisher.publish(8)
    assert refused(feed).code == "signature.unknown_key"
    publisher.site.files[f"/{INDEX}.minisig"] = b"\xff"
    assert refused(feed).code == "signature.malformed"
    del publisher.site.files[f"/{INDEX}.minisig"]
    assert refused(feed).code == "download.status"


def test_an_index_of_an_older_serial_is_refused(
    feed: Feed, publisher: Publisher, tmp_path: Path, site: Site
) -> None:
    state = tmp_path / "state" / "feeds.json"
    for serial in (7, 7, 9):
        publisher.publish(serial)
        feed.index(NOW, ignore)
    publisher.publish(8)
    error = refused(feed)
    assert error.code == "feed.replayed"
    assert "is 8, after 9" in error.summary
    slash = Feed(site.address + "/", [publisher.signer.key], state, {})
    assert refused(slash).code == "feed.replayed"
    other = Feed(str(publisher.folder), [publisher.signer.key], state)
    assert other.index(NOW, ignore).serial == 8
    assert refused(feed).code == "feed.replayed"
    state.write_bytes(b"damaged")
    assert feed.index(NOW, ignore).serial == 8
    publisher.publish(7)
    assert refused(feed).code == "feed.replayed"


def test_a_refused_index_does_not_count_as_seen(feed: Feed, publisher: Publisher) -> None:
    publisher.publish(100, NOW - 31 * DAY)
    assert refused(feed).code == "feed.expired"
    publisher.publish(8)
    assert feed.index(NOW, ignore).serial == 8


def test_an_index_is_valid_for_its_time(feed: Feed) -> None:
    for now in (NOW - DAY, NOW + 30 * DAY):
        feed.index(now, ignore)
    late, early = refused(feed, NOW + 31 * DAY), refused(feed, NOW - DAY - timedelta(seconds=1))
    assert (late.code, early.code) == ("feed.expired", "feed.from_future")
    assert "2026-12-30" in late.summary
    assert "2026-11-30" in early.summary
    assert "date of this computer" in late.hint
    assert "date of this computer" in early.hint


def test_an_image_from_the_future_is_refused(feed: Feed, publisher: Publisher) -> None:
    """Later images could not replace it."""
    index = publisher.publish(8)
    later = [
        msgspec.structs.replace(index.images[0], date=date)
        for date in ("2026-12-01T12:00:00Z", "2026-12-01T12:00:01Z", "9999-01-01T00:00:00Z")
    ]
    publisher.write(msgspec.json.encode(msgspec.structs.replace(index, images=(later[0],))))
    assert feed.index(NOW, ignore).serial == 8
    for listed in later[1:]:
        images = (*index.images, listed)
        publisher.write(msgspec.json.encode(msgspec.structs.replace(index, images=images)))
        error = refused(feed)
        assert error.code == "feed.from_future"
        assert listed.date[:10] in error.summary


def test_an_index_of_a_newer_format_needs_a_newer_galley(feed: Feed, publisher: Publisher) -> None:
    publisher.write(b'{"format": 2, "other": []}')
    error = refused(feed)
    assert error.code == "feed.newer_format"
    assert "newer Galley" in error.hint


def test_an_index_that_does_not_decode_is_refused(feed: Feed, publisher: Publisher) -> None:
    index = publisher.publish(8)
    one = index.images[0]
    wrong = [{"file": name} for name in ("", "..", "../x", "/x", "a/b", "a\\b", "C:x", ".x", "x\n")]
    wrong += [{"sha256": "../x"}]
    bad = [msgspec.structs.replace(one, **changes) for changes in wrong]
    bad += [msgspec.structs.replace(one, size=size) for size in (0, -1, 1 << 50)]
    encoded = [
        msgspec.json.encode(msgspec.structs.replace(index, images=(image,))) for image in bad
    ]
    plain = msgspec.json.encode(index)
    for date in (b"yesterday", b"2026-99-99T00:00:00Z", b"2026-02-30T00:00:00Z"):
        encoded.append(plain.replace(one.date.encode(), date))
    for data in (b"{}", b"[" * 100_000, b'{"format": 1}', b"\xff", *encoded):
        publisher.write(data)
        assert refused(feed).code == "feed.unreadable", data[:300]
    naive = plain.replace(b'12:00:00Z"', b'12:00:00"')
    publisher.write(naive)
    assert refused(feed).code == "feed.unreadable"


def test_an_index_is_bounded(feed: Feed, publisher: Publisher) -> None:
    publisher.write(b" " * ((1 << 20) + 1))
    assert refused(feed).code == "download.too_large"


def test_an_address_without_encryption_needs_leave(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        Feed("http://example.com/", [], tmp_path / "state")
    Feed("http://example.com/", [], tmp_path / "state", insecure=True)


def test_a_state_file_that_cannot_be_written_is_an_error(
    publisher: Publisher, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    feed = Feed(site.address, [publisher.signer.key], tmp_path / "file" / "state", {})
    assert refused(feed).code == "home.not_writable"


def later_than(manifest: Manifest, **changes: str) -> Manifest:
    return msgspec.structs.replace(manifest, date="2027-01-01T00:00:00Z", **changes)


def test_a_feed_that_went_back_is_an_error(latest: FeedImage) -> None:
    check_newer(latest, [])
    check_newer(latest, [CURRENT, LATER, MANIFEST])
    check_newer(latest, [later_than(LATER, recipe="abc"), later_than(LATER, channel="latest")])
    with pytest.raises(HostError) as caught:
        check_newer(latest, [CURRENT, later_than(CURRENT)])
    assert caught.value.code == "feed.older"
    assert "2027-01-01T00:00:00Z" in caught.value.summary


def test_a_publication_gives_the_same_files_again(publisher: Publisher) -> None:
    names = sorted(path.name for path in publisher.folder.iterdir())
    files = [f"{path.name}.galley-image" for path in publisher.images]
    assert names == sorted([*files, "index.json", "index.json.minisig"])
    before = {path.name: path.read_bytes() for path in publisher.folder.iterdir()}
    publisher.publish(7)
    again = {path.name: path.read_bytes() for path in publisher.folder.iterdir()}
    assert before | again == {**before, "index.json.minisig": again["index.json.minisig"]}


def test_a_serial_number_is_published_once(publisher: Publisher) -> None:
    before = (publisher.folder / INDEX).read_bytes()
    for serial in (6, 7):
        with pytest.raises(SettingsError) as caught:
            publish(publisher.images, publisher.folder, serial, NOW, progress=ignore)
        assert caught.value.code == "feed.serial_used"
        assert "--serial 8" in caught.value.hint
    assert (publisher.folder / INDEX).read_bytes() == before
    for data in (b"{}", b'{"serial": "x"}', b"\xff", b"[" * 100_000):
        (publisher.folder / INDEX).write_bytes(data)
        with pytest.raises(HostError) as damaged:
            publish(publisher.images, publisher.folder, 100, NOW, progress=ignore)
        assert damaged.value.code == "feed.old_index"


def test_a_damaged_image_is_not_published(publisher: Publisher, tmp_path: Path) -> None:
    before = (publisher.folder / INDEX).read_bytes()
    (publisher.images[1] / "vmlinux").write_bytes(b"kernem")
    with pytest.raises(ImageDamaged):
        publish(publisher.images, publisher.folder, 8, NOW, progress=ignore)
    assert (publisher.folder / INDEX).read_bytes() == before
    (tmp_path / "file").touch()
    with pytest.raises(HostError) as caught:
        publish(publisher.images, tmp_path / "file" / "feed", 8, NOW, progress=ignore)
    assert caught.value.code == "transfer.not_written"
