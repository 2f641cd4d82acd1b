"""`galley image`: its commands on small images, and on a feed in a folder."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.cli import image_updates, reach, status
from engine.control.server import ControlServer
from engine.guest.images_lock import LOCK
from engine.images.feed import INDEX
from engine.settings.store import SettingsStore
from engine.types import ImageStatus
from tests import small_image
from tests.unit.engine.cli.conftest import Galley
from tests.unit.engine.control.scripted import ScriptedEngine
from tests.unit.engine.images.current import CURRENT, LATER, OTHER_ARCH
from tests.unit.engine.images.signer import Signer
from tests.unit.engine.sleepy import Sleepy
from vm.directory import MachineDir
from vm.host.paths import Home


@pytest.fixture
def used(home: Home) -> Path:
    return small_image.add_to(home.images, CURRENT)


@pytest.fixture
def feed(galley: Galley, tmp_path: Path, used: Path) -> Path:
    """A feed with a newer image, and the settings for it."""
    newer = small_image.add_to(tmp_path / "made", LATER)
    signer, folder = Signer(tmp_path / "keys"), tmp_path / "feed"
    done = galley("image", "publish", str(folder), str(newer), "--serial", "3", "--days", "20")
    assert done.returncode == 0, done.stderr
    assert re.search(r"1 image, valid until \d{4}-\d\d-\d\d", done.stdout)
    assert f"minisign -Sm {folder / INDEX}" in done.stdout
    signer.sign(folder / INDEX)
    galley("settings", "set", "image_feed", str(folder))
    galley("settings", "set", "image_feed_signer", signer.public.read_text().split()[-1])
    return folder


def test_the_images_are_listed(galley: Galley, home: Home, used: Path) -> None:
    (home.images / "older-format").mkdir()
    (home.images / "older-format" / "manifest.json").write_text('{"format": 1}')
    done = galley("image", "info")
    assert str(used) in done.stdout
    assert "packages of 2026-11-28" in done.stdout
    assert "docker.io 26.1.5+dfsg1-9" in done.stdout
    assert "format is 1" in done.stderr
    (entry,) = json.loads(galley("image", "info", "--json").stdout)
    assert entry["manifest"]["packages"]["runc"]["version"] == "1:2.3-4"


def test_a_check_tells_what_is_newer(galley: Galley, feed: Path, used: Path) -> None:
    done = galley("image", "check")
    assert done.returncode == 0, done.stderr
    assert "The image has the packages of 2026-11-28" in done.stdout
    assert "galley-guest 2026-11-28T08:00:00Z -> 2026-11-29T08:00:00Z" in done.stdout
    assert "1 newer package, 0 CVEs fixed" in done.stdout
    seen = json.loads(galley("image", "check", "--json").stdout)
    assert seen["image"] == str(used)
    assert seen["report"]["source"] == "feed"


def test_an_update_gets_the_newest_image(galley: Galley, home: Home, feed: Path) -> None:
    done = galley("image", "update")
    assert done.returncode == 0, done.stderr
    newer = home.images / LATER.directory_name
    assert str(newer) in done.stdout
    assert "The next start uses it." in done.stdout
    assert newer.is_dir()
    assert "There is nothing newer." in galley("image", "check").stdout
    assert str(newer) in galley("image", "update").stdout


def test_a_publication_says_what_its_images_fix(galley: Galley, feed: Path, tmp_path: Path) -> None:
    newer = tmp_path / "made" / LATER.directory_name
    words = ("image", "publish", str(feed), str(newer), "--fixes", "CVE-2026-1234")
    refused = galley(*words, "--serial", "3")
    assert refused.returncode != 0
    assert "--serial 4" in refused.stderr
    refused = galley(*words, "--fixes", "2026-1234", "--serial", "4")
    assert refused.returncode != 0
    assert "2026-1234 is not the id of a CVE" in refused.stderr
    done = galley(*words, "--fixes", "CVE-2025-12345", "--fixes", "CVE-2026-1234", "--serial", "4")
    assert done.returncode == 0, done.stderr
    (listed,) = json.loads((feed / INDEX).read_text())["images"]
    assert listed["fixes"] == ["CVE-2025-12345", "CVE-2026-1234"]


def test_a_fetch_names_its_feed(galley: Galley, home: Home, feed: Path, tmp_path: Path) -> None:
    key = json.loads(galley("settings", "get", "image_feed_signer", "--json").stdout)["value"]
    galley("settings", "unset", "image_feed")
    galley("settings", "unset", "image_feed_signer")
    refused = galley("image", "fetch", "--from", str(feed))
    assert refused.returncode != 0
    assert "There is no key" in refused.stderr
    other = Signer(tmp_path / "others").public.read_text().split()[-1]
    refused = galley("image", "fetch", "--from", str(feed), "--key", other)
    assert refused.returncode != 0
    assert "not among the trusted ones" in refused.stderr
    done = galley("image", "fetch", "--from", str(feed), "--key", key)
    assert done.stdout.strip() == str(home.images / LATER.directory_name)


def test_an_image_is_exported_and_imported(
    galley: Galley, home: Home, used: Path, tmp_path: Path
) -> None:
    file = tmp_path / "one.galley-image"
    done = galley("image", "export", str(file))
    assert done.returncode == 0, done.stderr
    content = {path.name: path.read_bytes() for path in used.iterdir() if path.suffix != ".json"}
    used.rename(tmp_path / "elsewhere")
    done = galley("image", "import", str(file))
    assert done.stdout.strip() == str(used)
    assert content == {name: (used / name).read_bytes() for name in content}
    file.write_bytes(file.read_bytes()[:-40])
    refused = galley("image", "import", str(file))
    assert refused.returncode != 0
    assert "ends too early" in refused.stderr


def test_an_import_into_a_folder_that_cannot_be_written(
    galley: Galley, home: Home, used: Path, tmp_path: Path
) -> None:
    file = tmp_path / "one.galley-image"
    galley("image", "export", str(file))
    (home.images / LOCK).unlink(missing_ok=True)
    (home.images / LOCK).mkdir()
    refused = galley("image", "import", str(file))
    assert refused.returncode != 0
    assert f"{home.images} cannot be written" in refused.stderr


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"arch": OTHER_ARCH}, OTHER_ARCH), ({"recipe": "0" * 16}, "recipe " + "0" * 16)],
)
def test_an_image_for_another_computer_or_version_is_refused(
    galley: Galley, home: Home, tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    made = small_image.add_to(tmp_path / "made", msgspec.structs.replace(CURRENT, **change))
    file = tmp_path / "other.galley-image"
    galley("image", "export", str(file), "--image", str(made))
    refused = galley("image", "import", str(file))
    assert refused.returncode != 0
    assert reason in refused.stderr
    assert not [path for path in home.images.iterdir() if path.is_dir()]


def test_bills_of_materials(galley: Galley, used: Path) -> None:
    bill = json.loads(galley("image", "sbom").stdout)
    assert bill["bomFormat"] == "CycloneDX"
    assert any(each["name"] == "runc" for each in bill["components"])
    assert json.loads(galley("image", "sbom", "--format", "spdx").stdout)["spdxVersion"]
    app = json.loads(galley("image", "sbom", "--app").stdout)
    assert any(each["name"].lower() == "paramiko" for each in app["components"])


@pytest.mark.parametrize("words", [("check",), ("export", "file"), ("sbom",)])
def test_without_an_image_the_command_says_how_to_get_one(
    galley: Galley, words: tuple[str, ...]
) -> None:
    done = galley("image", *words)
    assert done.returncode != 0
    assert "There is no guest image yet." in done.stderr
    assert "galley start" in done.stderr


def test_a_suspended_machine_uses_a_new_image_after_a_cold_start(
    home: Home, used: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = Sleepy()
    monkeypatch.setattr(reach, "chosen_backend", lambda home: backend)
    image_updates._use(used, now=False)
    assert capsys.readouterr().out == "The next start uses it.\n"
    MachineDir.of(home).suspended.mkdir(parents=True)
    image_updates._use(used, now=False)
    assert capsys.readouterr().out == "The next cold start uses it.\n"


def test_the_supervisor_learns_of_an_added_image(
    galley: Galley, home: Home, feed: Path, used: Path, tmp_path: Path
) -> None:
    key = json.loads(galley("settings", "get", "image_feed_signer", "--json").stdout)["value"]
    file = tmp_path / "one.galley-image"
    galley("image", "export", str(file), "--image", str(used))
    engine = ScriptedEngine()
    server = ControlServer(home, engine, SettingsStore(home), end=lambda: None)
    server.open()
    try:
        for words in (("fetch", "--from", str(feed), "--key", key), ("import", str(file))):
            done = galley("image", *words)
            assert done.returncode == 0, done.stderr
            assert engine.calls.pop() == "image.refresh"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "(1 day old)"),
        ({"checked": "2026-11-30T12:00:00Z"}, "(1 day old), checked on 2026-11-30"),
        (
            {"checked": "2026-11-30T12:00:00Z", "updates": 1, "cves": ("CVE-2026-1",)},
            "(1 day old), checked on 2026-11-30; 1 newer package, 1 CVE fixed: galley image update",
        ),
    ],
)
def test_the_status_says_when_an_image_was_checked(change: dict[str, object], words: str) -> None:
    date = (datetime.now(UTC) - timedelta(days=1, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    seen = msgspec.structs.replace(ImageStatus("name", "stable", "26.1.5", date), **change)
    assert status._image(seen) == f"stable, packages of {date[:10]} {words}"
