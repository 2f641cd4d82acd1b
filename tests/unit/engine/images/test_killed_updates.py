"""A power cut at any point of an update leaves the old image, or both; another try completes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.guest.build import find_current
from engine.images.feed import INDEX, Feed, newest
from engine.images.publish import publish
from tests import small_image
from tests.unit.engine.images.current import CURRENT, LATER, ignore
from tests.unit.engine.images.signer import Signer
from tests.unit.engine.images.test_feed import KIND, NOW
from vm import image

ROOT = Path(__file__).parents[4]
# Ends the process at a call, as a power cut does: nothing is cleaned up.
KILLED = """
import os, pathlib, sys
from datetime import datetime
from engine.images import download, feed, transfer
from engine.images.minisign import PublicKey
from vm import image

folder, key, images, state, now, owner, name, when = sys.argv[1:]
owner = {"os": os, "path": pathlib.Path, "feed": feed, "image": image, "transfer": transfer}[owner]
real = getattr(owner, name)
word, _, times = when.partition(" ")
left = list(range(int(times or 1) - 1))  # calls before the one that ends the process

def die(*arguments, **named):
    if left:
        left.pop()
        return real(*arguments, **named)
    if word == "after":
        real(*arguments, **named)
    os._exit(9)

setattr(owner, name, die)
source = feed.Feed(folder, [PublicKey.parse(key)], pathlib.Path(state), {})
index = source.index(datetime.fromisoformat(now), lambda text: None)
wanted = max(index.images, key=lambda each: each.date)
source.fetch(wanted, pathlib.Path(images), lambda text: None)
"""
POINTS = [
    ("feed", "write_atomic", "before"),
    ("feed", "write_atomic", "after"),
    ("feed", "fetch_file", "before"),
    ("os", "replace", "after"),
    ("feed", "fetch_file", "after"),
    ("feed", "import_file", "before"),
    ("transfer", "check_room", "after"),
    ("transfer", "settle", "before"),
    ("os", "fsync", "before 2"),
    ("path", "rename", "before"),
    ("path", "rename", "after"),
    ("image", "sync_directory", "before"),
    ("feed", "import_file", "after"),
]


@pytest.mark.parametrize(("owner", "name", "when"), POINTS)
def test_a_power_cut_leaves_only_sound_images(
    tmp_path: Path, owner: str, name: str, when: str
) -> None:
    signer, feed, images = Signer(tmp_path / "keys"), tmp_path / "feed", tmp_path / "images"
    made = [small_image.add_to(tmp_path / "made", each) for each in (CURRENT, LATER)]
    publish(made, feed, 1, NOW, progress=ignore)
    signer.sign(feed / INDEX)
    old = small_image.add_to(images, CURRENT)
    key, state = signer.public.read_text().split()[-1], tmp_path / "state" / "feeds.json"
    words = [str(feed), key, str(images), str(state), NOW.isoformat(), owner, name, when]
    assert subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT).returncode == 9
    for each in find_current(images):
        image.verify(each)
    assert old in find_current(images)
    again = Feed(str(feed), [signer.key], state, {})
    wanted = newest(again.index(NOW, ignore), KIND[0], KIND[1], KIND[2])
    assert wanted is not None
    new = again.fetch(wanted, images, ignore)
    assert find_current(images) == (new, old)
    hidden = [path.name for path in images.iterdir() if path.name.startswith(".")]
    assert hidden == [".lock"]
