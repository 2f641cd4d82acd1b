"""What the window says of the guest image, and its update."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from desktop.app import App
from desktop.pages.engine.page import EnginePage
from desktop.session.image_words import image_age, image_news
from engine.settings.store import SettingsStore
from engine.types import ImageStatus
from tests import small_image
from tests.unit.engine.images.current import CURRENT, LATER, ignore
from tests.unit.engine.images.signer import Signer

type WaitFor = Callable[..., None]
DATE = (datetime.now(UTC) - timedelta(days=3, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
IMAGE = ImageStatus("stable-amd64-x-y", "stable", "26.1.5", DATE)


@pytest.mark.parametrize(
    ("changes", "news"),
    [
        ({}, ""),
        ({"updates": 1}, "1 newer package"),
        ({"updates": 4}, "4 newer packages"),
        ({"updates": 4, "cves": ("CVE-2026-1",)}, "An update fixes 1 known vulnerability."),
        (
            {"updates": 4, "cves": ("CVE-2026-1",), "waiting": "2026-11-30T00:00:00Z"},
            "The next cold start uses the packages of 2026-11-30.",
        ),
    ],
)
def test_the_image_in_words(own_app: App, changes: dict[str, object], news: str) -> None:
    image = msgspec.structs.replace(IMAGE, **changes)
    assert image_news(image) == news
    assert image_age(image) == f"stable · {DATE[:10]} (3 days old)"
    page = engine_page(own_app)
    show(own_app, page, image)
    assert page.reach.image.value.whole == image_age(image)
    assert page.reach.news.text() == news
    assert page.reach.update_image.isVisible() == bool(news)


def test_a_click_gets_the_newest_image(
    own_app: App, wait_for: WaitFor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from engine.images.publish import publish

    home, folder = own_app.link.home, tmp_path_factory.mktemp("feed")
    signer = Signer(folder / "keys")
    newer = small_image.add_to(folder / "made", LATER)
    publish([newer], folder / "feed", 1, datetime.now(UTC), progress=ignore)
    signer.sign(folder / "feed" / "index.json")
    settings = SettingsStore(home)
    settings.set("image_feed", str(folder / "feed"))
    settings.set("image_feed_signer", signer.public.read_text().split()[-1])
    small_image.add_to(home.images, CURRENT)
    page = engine_page(own_app)
    show(own_app, page, msgspec.structs.replace(IMAGE, updates=1))

    page.reach.update_image.click()

    wait_for(lambda: (home.images / LATER.directory_name / "manifest.json").exists())


def engine_page(app: App) -> EnginePage:
    app.window.go("engine")
    found = app.window.current
    assert isinstance(found, EnginePage)
    return found


def show(app: App, page: EnginePage, image: ImageStatus) -> None:
    """As if the supervisor had reported it."""
    status = app.link.status
    assert status is not None
    app.link.status = msgspec.structs.replace(status, image=image)
    page.reach.show_engine(app.link, app.connection, app.app_context.stores.info)
