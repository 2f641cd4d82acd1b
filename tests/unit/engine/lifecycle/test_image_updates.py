"""What is known of the image in use, and the daily check; with a real feed in a folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.images import check
from engine.images.check import Update, report_of
from engine.images.feed import INDEX
from engine.images.publish import publish
from engine.lifecycle.image_updates import AGAIN, EVERY, ImageUpdates
from engine.messages.image import CHANNEL_INSTEAD, IMAGE_OLD
from engine.settings.store import SettingsStore
from tests import small_image
from tests.unit.engine.images.current import CURRENT, LATER, ignore
from tests.unit.engine.images.signer import Signer
from vm import last_spec
from vm.directory import MachineDir
from vm.errors import Cancelled, HostError, SettingsError, ToolMissing
from vm.host.paths import Home, make_home
from vm.types import MachineSpec

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Scene:
    """A machine that has run with an image, and a feed with a newer one."""

    def __init__(self, folder: Path) -> None:
        self.home = make_home(Home(folder / "home", folder / "run"))
        self.settings = SettingsStore(self.home)
        self.changes: list[None] = []
        self.updates = ImageUpdates(self.home, self.settings, lambda: self.changes.append(None))
        self.used = small_image.add_to(self.home.images, CURRENT)
        self.feed, self.signer = folder / "feed", Signer(folder / "keys")
        self.newer = small_image.add_to(folder / "made", LATER)
        self.publish(1, NOW)
        self.settings.set("image_feed", str(self.feed))
        self.settings.set("image_feed_signer", self.signer.public.read_text().split()[-1])
        self.run_with(self.used)

    def publish(self, serial: int, now: datetime) -> None:
        fixes = {LATER.directory_name: ("CVE-2026-1", "CVE-2026-2")}
        publish([self.newer], self.feed, serial, now, progress=ignore, fixes=fixes)
        self.signer.sign(self.feed / INDEX)

    def publish_index(self, serial: int, now: datetime) -> None:
        """Without the file of the image."""
        self.publish(serial, now)
        (self.feed / f"{LATER.directory_name}.galley-image").unlink()

    def run_with(self, image: Path) -> None:
        spec = MachineSpec(cpus=1, memory_bytes=1 << 30, disk_bytes=1 << 30, image=str(image))
        last_spec.keep(MachineDir.of(self.home), spec)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_status_names_the_image_in_use(scene: Scene) -> None:
    status = scene.updates.status
    assert status is not None
    assert (status.name, status.date) == (CURRENT.directory_name, CURRENT.date)
    assert (status.channel, status.engine) == ("stable", "26.1.5+dfsg1")
    assert (status.checked, status.waiting, status.cves) == ("", "", ())


def test_without_a_machine_there_is_no_status(scene: Scene) -> None:
    MachineDir.of(scene.home).spec.unlink()
    assert scene.updates.status is None
    assert scene.updates.problems == ()
    assert not scene.updates.is_waiting


def test_a_check_finds_what_is_newer_and_gets_it(scene: Scene) -> None:
    scene.updates.look(NOW)
    status = scene.updates.status
    assert status is not None
    assert status.checked == "2026-11-30T12:00:00Z"
    assert (status.updates, status.cves) == (1, ("CVE-2026-1", "CVE-2026-2"))
    assert status.waiting == LATER.date
    assert scene.updates.is_waiting
    assert scene.changes
    scene.run_with(scene.home.images / LATER.directory_name)
    status = scene.updates.status
    assert status is not None
    assert (status.waiting, status.checked, status.updates) == ("", "", 0)


def test_asking_only_reports(scene: Scene) -> None:
    scene.settings.set("image_updates", "ask")
    scene.updates.look(NOW)
    status = scene.updates.status
    assert status is not None
    assert (status.updates, status.waiting) == (1, "")
    small_image.add_to(scene.home.images, LATER)
    assert not scene.updates.is_waiting


def test_never_is_never(scene: Scene) -> None:
    scene.settings.set("image_updates", "never")
    scene.updates.look(NOW)
    assert not scene.home.image_check.exists()


@pytest.mark.parametrize(
    ("later", "checks"),
    [(EVERY - timedelta(minutes=1), False), (EVERY, True), (-timedelta(hours=12), True)],
)
def test_it_checks_once_a_day_also_after_the_clock_went_back(
    scene: Scene, later: timedelta, checks: bool
) -> None:
    scene.settings.set("image_updates", "ask")
    scene.updates.look(NOW)
    before = scene.home.image_check.read_bytes()
    scene.publish(2, NOW + later)
    scene.updates.look(NOW + later)
    assert (scene.home.image_check.read_bytes() != before) == checks


def test_a_feed_that_cannot_be_trusted_changes_nothing(scene: Scene) -> None:
    (scene.feed / INDEX).write_bytes((scene.feed / INDEX).read_bytes() + b" ")
    with pytest.raises(HostError):
        scene.updates.look(NOW)
    assert not scene.home.image_check.exists()
    assert [path.name for path in scene.home.images.iterdir()] == [CURRENT.directory_name]


def test_a_feed_without_a_key_is_not_asked(scene: Scene) -> None:
    scene.settings.unset("image_feed_signer")
    with pytest.raises(SettingsError, match="no key"):
        scene.updates.look(NOW)


def test_closing_ends_an_update(scene: Scene) -> None:
    scene.updates.close()
    with pytest.raises(Cancelled):
        scene.updates.look(NOW)
    assert not (scene.home.images / LATER.directory_name).exists()


@pytest.mark.parametrize(("limit", "reports"), [("1", True), ("0", False), ("3650", False)])
def test_an_old_image_is_a_problem(scene: Scene, limit: str, reports: bool) -> None:
    old = msgspec.structs.replace(CURRENT, date="2025-01-01T00:00:00Z", packages={})
    scene.run_with(small_image.add_to(scene.home.images, old))
    scene.settings.set("image_warn_after", limit)
    codes = [problem.code for problem in scene.updates.problems]
    assert codes == (["image.old"] if reports else [])


def test_a_first_image_comes_from_the_feed(scene: Scene) -> None:
    assert scene.updates.get(ignore).name == LATER.directory_name


@pytest.mark.parametrize("is_rejected", [False, True])
def test_an_image_that_is_here_is_not_fetched_again(scene: Scene, is_rejected: bool) -> None:
    scene.updates.look(NOW)
    newer = scene.home.images / LATER.directory_name
    if is_rejected:
        reason = HostError(IMAGE_OLD, days=1).to_problem()
        scene.updates.images.reject(newer, reason)
    # A fetch would find the image damaged, and download it again.
    (newer / "vmlinux").write_bytes(b"")
    scene.publish_index(2, NOW + EVERY)
    scene.updates.look(NOW + EVERY)
    assert scene.updates.problems == scene.updates.images.problems(CURRENT.date)


def test_an_image_with_the_newest_packages_is_not_built_again(scene: Scene) -> None:
    runc = LATER.packages["runc"]
    small_image.add_to(scene.home.images, LATER)
    update = Update("runc", "1:2.3-4", runc.version, "runc")
    report = report_of(CURRENT, NOW, "apt", [update])
    assert scene.updates._is_here(report)
    newest = msgspec.structs.replace(update, available="1:2.3-6")
    assert not scene.updates._is_here(msgspec.structs.replace(report, updates=(newest,)))
    other = msgspec.structs.replace(update, package="libc6")
    assert not scene.updates._is_here(msgspec.structs.replace(report, updates=(update, other)))


def fail(scene: Scene, now: datetime) -> None:
    (scene.feed / INDEX).unlink(missing_ok=True)
    with pytest.raises(HostError):
        scene.updates.look(now)


def test_failed_checks_are_a_problem_after_three_days(scene: Scene) -> None:
    scene.settings.set("image_updates", "ask")
    scene.newer = scene.used  # not dated later than the first check
    now = datetime.now(UTC)
    scene.publish(2, now - timedelta(days=3))
    scene.updates.look(now - timedelta(days=3))
    fail(scene, now - timedelta(days=1))
    (problem,) = scene.updates.problems
    assert problem.code == "download.not_read"
    scene.settings.set("image_updates", "never")
    assert scene.updates.problems == ()
    scene.settings.set("image_updates", "ask")
    scene.publish(3, now)
    scene.updates.look(now)
    assert scene.updates.problems == ()


def test_a_new_machine_has_the_stable_channel_where_the_latest_is_missing(scene: Scene) -> None:
    scene.settings.set("image_warn_after", 0)
    MachineDir.of(scene.home).spec.unlink()
    scene.publish(2, datetime.now(UTC))
    made = scene.updates.get(ignore)
    assert made.name == LATER.directory_name
    scene.run_with(made)
    (problem,) = scene.updates.problems
    assert problem.code == CHANNEL_INSTEAD.code
    assert "no image of channel latest" in problem.summary


def test_a_machine_never_changes_its_channel_by_itself(scene: Scene) -> None:
    scene.run_with(scene.home.images / "latest-amd64-a-b")
    scene.publish(2, datetime.now(UTC))
    with pytest.raises(HostError, match="no image of channel latest"):
        scene.updates.get(ignore)
    assert scene.updates.problems == ()


def test_failed_checks_are_no_problem_before(scene: Scene) -> None:
    now = datetime.now(UTC)
    fail(scene, now - timedelta(days=2))
    fail(scene, now - timedelta(days=1))
    assert scene.updates.problems == ()
    fail(scene, now)
    assert scene.updates.problems == ()


def test_a_computer_that_can_never_check_is_no_problem(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene.settings.unset("image_feed")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing):
        scene.updates.look(datetime.now(UTC) - timedelta(days=4))
    assert scene.updates.problems == ()


def test_a_check_by_another_process_ends_the_problem(scene: Scene) -> None:
    fail(scene, datetime.now(UTC) - timedelta(days=4))
    assert scene.updates.problems
    scene.updates.refresh()
    assert scene.updates.problems == ()


def test_a_failed_check_is_repeated_after_four_hours(scene: Scene) -> None:
    fail(scene, NOW)
    scene.updates.look(NOW + AGAIN - timedelta(minutes=1))
    fail(scene, NOW + AGAIN)


def test_a_failed_download_is_repeated_after_four_hours(scene: Scene) -> None:
    file = scene.feed / f"{LATER.directory_name}.galley-image"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(HostError):
        scene.updates.look(NOW)
    file.write_bytes(content)
    scene.updates.look(NOW + AGAIN)
    assert (scene.home.images / LATER.directory_name).is_dir()


@pytest.mark.parametrize(
    ("ago", "updates", "reports"), [(6, (), False), (7, (), True), (6, ("runc",), True)]
)
def test_an_old_image_without_newer_packages_is_no_problem(
    scene: Scene, ago: int, updates: tuple[str, ...], reports: bool
) -> None:
    old = msgspec.structs.replace(CURRENT, date="2025-01-01T00:00:00Z", packages={})
    scene.run_with(small_image.add_to(scene.home.images, old))
    scene.settings.set("image_warn_after", "7")
    checked = datetime.now(UTC) - timedelta(days=ago, minutes=1)
    newer = [Update(name, "1", "2", name) for name in updates]
    check.save(report_of(old, checked, "apt", newer), scene.home.image_check)
    assert [problem.code for problem in scene.updates.problems] == ["image.old"] * reports
