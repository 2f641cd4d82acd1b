"""Newer images of the guest, as a user meets them: fetched, used, and left again when they fail."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.contract.conftest import link_image
from tests.e2e.galley import IMAGE, Galley
from tests.unit.engine.images.signer import Signer
from vm import image
from vm.cpio import CpioEntry, cpio
from vm.image import Manifest

POWERS_OFF = cpio([CpioEntry("init", 0o100755, b"#!/bin/sh\npoweroff -f\n")])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of the test's own: at first the one that `./dev test` has built, by a link."""
    return link_image(tmp_path / "images")


@pytest.fixture
def galley(tmp_path: Path, images: Path) -> Iterator[Galley]:
    galley = Galley(tmp_path / "h", images)
    galley.take_one_cpu()
    yield galley
    galley.remove()


def add_newer(images: Path, days: int, *, broken: bool = False, engine: str = "") -> Path:
    """The same image, as if it had been built with the packages of some days later. `engine`: the
    version that its package of dockerd has by the manifest."""
    (old,) = (path for path in image.find(images) if path.is_symlink())
    manifest = image.read_manifest(old)
    made = images / "new"
    shutil.copytree(old, made)
    if broken:
        with (made / "initramfs").open("ab") as file:
            file.write(POWERS_OFF)
    date = datetime.fromisoformat(manifest.date) + timedelta(days=days)
    runc = msgspec.structs.replace(manifest.packages["runc"], sha256=f"{days:064}")
    docker = manifest.packages["docker.io"]
    docker = msgspec.structs.replace(docker, version=engine or docker.version)
    changed = msgspec.structs.replace(
        manifest,
        date=date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        packages={**manifest.packages, "docker.io": docker, "runc": runc},
        parts=tuple(image.describe(made / part.name) for part in manifest.parts),
    )
    image.write_manifest(made, changed)
    return image.settle(made, images, images / "none")


def used(galley: Galley) -> Manifest:
    return image.read_manifest(galley.home.images / galley.status()["image"]["name"])


def test_a_new_image_is_used_at_the_next_cold_start_and_left_when_it_does_not_work(
    galley: Galley, images: Path
) -> None:
    galley.start()
    galley.load_image()
    galley.docker("run", "-v", "kept:/kept", IMAGE, "sh", "-c", "echo first > /kept/file")
    first = used(galley)

    broken = add_newer(images, 1, broken=True)
    galley.run("restart")
    assert used(galley) == first
    (problem,) = galley.status()["problems"]
    assert problem["code"] == "image.went_back"
    assert image.read_manifest(broken).date[:10] in problem["summary"]
    kept = galley.docker("run", "--rm", "-v", "kept:/kept", IMAGE, "cat", "/kept/file")
    assert kept.stdout == b"first\n"

    galley.run("stop")
    assert galley.status()["resumable"]  # the rejected image waits for nothing
    newer = add_newer(images, 2)
    galley.start()  # resumes, with the image that the machine had
    assert used(galley) == first
    assert galley.status()["image"]["waiting"] == image.read_manifest(newer).date

    galley.run("stop")
    assert not galley.status()["resumable"]
    galley.start()
    assert used(galley) == image.read_manifest(newer)
    assert galley.status()["problems"] == []
    kept = galley.docker("run", "--rm", "-v", "kept:/kept", IMAGE, "cat", "/kept/file")
    assert kept.stdout == b"first\n"


def test_data_goes_back_with_an_engine_of_a_newer_major_version_that_never_answers(
    galley: Galley, images: Path
) -> None:
    galley.start()
    galley.load_image()
    galley.docker("run", "-v", "kept:/kept", IMAGE, "sh", "-c", "echo first > /kept/file")
    first = used(galley)
    add_newer(images, 1, broken=True, engine="99.0.1-1")
    galley.run("restart")
    assert used(galley) == first
    assert [problem["code"] for problem in galley.status()["problems"]] == ["image.went_back"]
    (snapshot,) = json.loads(galley.run("snapshot", "list", "--json").stdout)
    assert snapshot["name"] == "before-docker-99"
    log = galley.log_tail()
    assert "Docker 99.0.1 never answered: restoring before-docker-99" in log
    kept = galley.docker("run", "--rm", "-v", "kept:/kept", IMAGE, "cat", "/kept/file")
    assert kept.stdout == b"first\n"
    galley.run("stop")
    galley.start()
    assert used(galley) == first


def test_a_first_start_fetches_its_image_from_a_feed(tmp_path: Path, images: Path) -> None:
    """As on a computer that cannot build one."""
    (own,) = image.find(images)
    feed, signer = tmp_path / "feed", Signer(tmp_path / "keys")
    publisher = Galley(tmp_path / "p", images)
    publisher.run("image", "publish", str(feed), str(own), "--serial", "1")
    signer.sign(feed / "index.json")
    empty = tmp_path / "empty"
    empty.mkdir()
    galley = Galley(tmp_path / "h", empty)
    try:
        galley.take_one_cpu()
        galley.run("settings", "set", "image_feed", str(feed))
        galley.run("settings", "set", "image_feed_signer", signer.public.read_text().split()[-1])
        galley.start()
        galley.load_image()
        assert galley.docker("run", "--rm", IMAGE, "echo", "served").stdout == b"served\n"
        assert used(galley) == image.read_manifest(own)
        assert b"There is nothing newer." in galley.run("image", "check").stdout
    finally:
        galley.remove()
        publisher.remove()
