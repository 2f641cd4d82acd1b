"""What the window says of the guest image, and its update."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.pages.engine.page import EnginePage
from desktop.pages.help.about import AboutView
from desktop.pages.help.fixes import fix_for
from desktop.session.image_words import image_age, image_news
from desktop.session.link import EngineRequest
from desktop.widgets.confirm import Confirm
from engine.diagnose.run import Outcome, Result
from engine.docker.types import Container, ContainerState
from engine.settings.store import SettingsStore
from engine.types import ImageStatus
from tests import small_image
from tests.unit.engine.images.current import CURRENT, LATER, ignore
from tests.unit.engine.images.signer import Signer
from vm.errors import Problem
from vm.types import MachineState

type WaitFor = Callable[..., None]
DATE = (datetime.now(UTC) - timedelta(days=3, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
IMAGE = ImageStatus("stable-amd64-x-y", "stable", "26.1.5", DATE)
WAITING = msgspec.structs.replace(IMAGE, updates=1, waiting="2026-11-30T00:00:00Z")


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


def test_the_card_and_the_about_page_say_when_it_was_checked(own_app: App, qtbot: QtBot) -> None:
    page = engine_page(own_app)
    show(own_app, page, IMAGE)
    assert page.reach.image.toolTip() == ""
    show(own_app, page, msgspec.structs.replace(IMAGE, checked="2026-11-30T12:00:00Z"))
    assert page.reach.image.toolTip() == "Checked on 2026-11-30."
    about = AboutView(own_app.app_context)
    qtbot.addWidget(about)
    about.show()
    assert about.lines["image"].value.whole.endswith(" · Checked on 2026-11-30.")


def test_the_button_says_when_it_restarts_the_engine(own_app: App) -> None:
    page = engine_page(own_app)
    button = page.reach.update_image
    show(own_app, page, msgspec.structs.replace(IMAGE, updates=1))
    assert button.text() == button.accessibleName() == "Update the guest image"
    assert fix_title(own_app, "ImageDamaged") == "Get the image again"
    show(own_app, page, WAITING)
    assert button.text() == button.accessibleName() == "Restart with the new image"
    assert fix_title(own_app, "ImageDamaged") == "Restart with the new image"
    show(own_app, page, IMAGE)
    assert button.text() == "Update the guest image"


@pytest.mark.parametrize(
    ("state", "resumable", "containers", "question"),
    [
        (MachineState.STOPPED, False, None, ""),
        (MachineState.STOPPED, True, None, "Running containers are stopped."),
        (MachineState.RUNNING, False, None, "Running containers are stopped."),
        (MachineState.RUNNING, False, ContainerState.EXITED, ""),
        (MachineState.RUNNING, False, ContainerState.RUNNING, "Running, and stopped first: web."),
    ],
)
def test_a_restart_with_a_new_image_asks_before_it_stops_containers(
    own_app: App,
    state: MachineState,
    resumable: bool,
    containers: ContainerState | None,
    question: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[EngineRequest] = []
    monkeypatch.setattr(own_app.link, "request", lambda request, title: asked.append(request))
    page = engine_page(own_app)
    show(own_app, page, WAITING)
    status = own_app.link.status
    assert status is not None
    machine = msgspec.structs.replace(status.machine, state=state, resumable=resumable)
    own_app.link.status = msgspec.structs.replace(status, machine=machine)
    store = own_app.app_context.stores.containers
    store.forget()
    if containers is not None:
        store.show_early([Container("1", "web", "image", "2", containers, "", 0.0)])

    page.reach.update_image.click()

    confirm = own_app.window.findChild(Confirm)
    assert (confirm is not None) == bool(question)
    if confirm is not None:
        assert asked == []
        assert question in [one.text() for one in confirm.findChildren(QLabel)]
        confirm.agree.click()
    assert asked == [EngineRequest.RESTART]


def fix_title(app: App, kind: str) -> str:
    fix = fix_for(app.app_context, Result("A question", Outcome.PROBLEM, Problem(kind, "Wrong.")))
    return fix[0] if fix else ""


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
