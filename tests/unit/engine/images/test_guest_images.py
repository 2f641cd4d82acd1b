"""Which image a start uses, and the way back to the one before it."""

from pathlib import Path

import msgspec
import pytest

from engine.guest.channels import Channel
from engine.guest.recipe import architecture, recipe_hash
from engine.images import choice
from engine.images.guest_images import GuestImages
from tests import small_image
from tests.small_image import MANIFEST, RUNC
from vm.errors import BootFailed, DiskFull, Problem
from vm.host.paths import Home
from vm.image import Manifest
from vm.messages import Message, Text

REASON = BootFailed(Message("boot.test", "It does not start.")).to_problem()
STABLE = Channel.STABLE


def of(day: int, channel: Channel = STABLE) -> Manifest:
    """An image of the current recipe, with the packages of a day of November."""
    runc = msgspec.structs.replace(RUNC, sha256=f"{day:02}" * 32)
    return msgspec.structs.replace(
        MANIFEST,
        channel=channel,
        arch=architecture(),
        recipe=recipe_hash(channel),
        date=f"2026-11-{day:02}T08:00:00Z",
        packages={**MANIFEST.packages, "runc": runc},
    )


def quiet(text: Text) -> None:
    """Progress that is not shown."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "images").mkdir()
    return Home(tmp_path, tmp_path)


@pytest.fixture
def images(home: Home) -> GuestImages:
    return GuestImages(home)


def test_a_start_uses_the_newest_packages(home: Home, images: GuestImages) -> None:
    small_image.add_to(home.images, of(1))
    newest = small_image.add_to(home.images, of(20))
    small_image.add_to(home.images, of(25, Channel.LATEST))
    assert images.newest(STABLE, quiet) == newest


def test_a_damaged_image_is_removed_and_the_one_before_it_used(
    home: Home, images: GuestImages
) -> None:
    older = small_image.add_to(home.images, of(1))
    newest = small_image.add_to(home.images, of(20))
    (newest / "vmlinux").write_bytes(b"short")
    told: list[Text] = []
    assert images.newest(STABLE, told.append) == older
    assert not newest.exists()
    assert "vmlinux" in told[0].english


def test_without_an_image_there_is_none(home: Home, images: GuestImages) -> None:
    only = small_image.add_to(home.images, of(3))
    (only / "vmlinux").unlink()
    assert images.newest(STABLE, quiet) is None
    assert not only.exists()


def test_a_new_image_that_fails_is_rejected_until_a_newer_one_is_there(
    home: Home, images: GuestImages
) -> None:
    older = small_image.add_to(home.images, of(1))
    images.prove(older)
    failed = small_image.add_to(home.images, of(20))
    assert images.waiting(STABLE, older) == failed
    assert images.before(STABLE, failed) == older
    images.reject(failed, REASON)
    assert images.newest(STABLE, quiet) == older
    assert images.waiting(STABLE, older) is None
    again = GuestImages(home)  # as in the next background process
    (problem,) = again.problems(of(1).date)
    assert "2026-11-20" in problem.summary
    assert "2026-11-01" in problem.summary
    assert "It does not start." in problem.summary
    assert again.newest(STABLE, quiet) == older
    fixed = small_image.add_to(home.images, of(21))
    assert again.newest(STABLE, quiet) == fixed
    assert again.problems(of(21).date) == ()


def test_a_rejected_image_is_used_again_on_request(home: Home, images: GuestImages) -> None:
    small_image.add_to(home.images, of(1))
    failed = small_image.add_to(home.images, of(20))
    images.reject(failed, REASON)
    GuestImages(home).allow(failed)  # `galley image update --again`, in a process of its own
    assert images.newest(STABLE, quiet) == failed
    images.prove(failed)
    assert images.problems(of(1).date) == ()


def test_a_rejected_image_is_better_than_none(home: Home, images: GuestImages) -> None:
    older = small_image.add_to(home.images, of(1))
    failed = small_image.add_to(home.images, of(20))
    images.reject(failed, REASON)
    (older / "vmlinux").unlink()
    assert images.before(STABLE, failed) is None
    (older / "manifest.json").unlink()
    assert images.newest(STABLE, quiet) == failed


def test_there_is_no_way_back_from_an_image_that_has_worked(
    home: Home, images: GuestImages
) -> None:
    small_image.add_to(home.images, of(1))
    newest = small_image.add_to(home.images, of(20))
    images.prove(newest)
    assert images.before(STABLE, newest) is None


def test_nor_without_another_image_of_the_same_recipe(home: Home, images: GuestImages) -> None:
    only = small_image.add_to(home.images, of(20))
    small_image.add_to(home.images, msgspec.structs.replace(of(1), recipe="older"))
    assert images.before(STABLE, only) is None


def test_a_suspended_machine_keeps_its_image(home: Home, images: GuestImages) -> None:
    older = small_image.add_to(home.images, of(1))
    small_image.add_to(home.images, of(20))
    assert images.to_resume(STABLE, str(older)) == older
    assert images.to_resume(Channel.LATEST, str(older)) is None
    assert images.to_resume(STABLE, str(home.images / "gone")) is None
    (older / "vmlinux").write_bytes(b"short")
    assert images.to_resume(STABLE, str(older)) is None


def test_the_way_back_leads_to_an_image_that_has_worked(home: Home, images: GuestImages) -> None:
    """Not to one between them, which may have the same fault."""
    proven = small_image.add_to(home.images, of(1))
    images.prove(proven)
    between = small_image.add_to(home.images, of(10))
    newest = small_image.add_to(home.images, of(20))
    assert images.before(STABLE, newest) == proven
    (proven / "vmlinux").write_bytes(b"short")
    assert images.before(STABLE, newest) == between


def test_older_images_are_removed_but_for_the_one_before(home: Home, images: GuestImages) -> None:
    of_snapshot, waited, first = (small_image.add_to(home.images, of(day)) for day in (1, 2, 3))
    other_channel = small_image.add_to(home.images, of(2, Channel.LATEST))
    other_recipe = small_image.add_to(
        home.images, msgspec.structs.replace(of(2), recipe="0123456789abcdef")
    )
    (home.images / "other-format").mkdir()
    (home.images / "other-format" / "manifest.json").write_text('{"format": 1}')
    images.prove(first, {of_snapshot.name})
    assert not waited.exists()
    assert not other_recipe.exists()
    assert all(each.exists() for each in (of_snapshot, first, other_channel))
    second, third, fourth = (small_image.add_to(home.images, of(day)) for day in (11, 12, 13))
    images.prove(second, {of_snapshot.name})
    assert all(each.exists() for each in (first, second, third, fourth))
    images.prove(third, {of_snapshot.name})
    assert not first.exists()
    assert all(each.exists() for each in (of_snapshot, second, third, fourth))
    assert (home.images / "other-format").exists()


def test_images_that_other_homes_share_stay(home: Home, tmp_path: Path) -> None:
    shared = home.images.rename(tmp_path / "shared")
    home.images.symlink_to(shared)
    older = small_image.add_to(shared, of(1))
    GuestImages(home).prove(small_image.add_to(shared, of(2)))
    assert older.exists()


def test_an_image_that_cannot_be_used_yet_is_a_problem(home: Home, images: GuestImages) -> None:
    older = small_image.add_to(home.images, of(1))
    newer = small_image.add_to(home.images, of(2))
    images.postpone(newer, DiskFull(Message("disk.test", "There is no room.")))
    (problem,) = images.problems(of(1).date)
    assert "2026-11-02" in problem.summary
    assert "There is no room." in problem.summary
    assert images.of_engine(STABLE, lambda version: version.startswith("26")) == newer
    assert images.of_engine(STABLE, lambda version: False) is None
    images.prove(older)
    assert images.problems(of(1).date) == (problem,)
    assert images.problems(of(2).date) == ()
    assert images.waiting(STABLE, older) is None
    images.admit()
    assert images.problems(of(1).date) == ()
    assert images.waiting(STABLE, older) == newer


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"proven": 1}', b"\xff"])
def test_a_damaged_record_is_an_empty_one(home: Home, content: bytes) -> None:
    home.image_choice.write_bytes(content)
    assert choice.read(home.image_choice) == choice.Choice()
    found = small_image.add_to(home.images, of(1))
    GuestImages(home).prove(found)
    assert choice.read(home.image_choice).proven == (found.name,)


def test_the_record_is_bounded() -> None:
    record = choice.Choice()
    for number in range(100):
        record = record.with_proven(f"{number}")
        record = record.with_rejected(choice.Rejection(f"bad {number}", "", Problem("", "")))
    assert record.proven[0] == "99"
    assert len(record.proven) == len(record.rejected) == choice.MOST
