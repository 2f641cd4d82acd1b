"""The page of networks: the list, the attached containers, and the map."""

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QDialog, QMenu

from desktop.actions import containers
from desktop.app import App
from desktop.dialogs.network import (
    ConnectDialog,
    CreateNetworkDialog,
    overlapping,
    read_subnet,
    wrong_address,
    wrong_gateway,
)
from desktop.dialogs.prune import PruneDialog
from desktop.pages.attached import AttachedList
from desktop.pages.networks.detail import NetworkDetail
from desktop.pages.networks.map_layout import NAME_WIDTH, Part, Spot, lay_out
from desktop.pages.networks.page import NetworksPage
from desktop.widgets.confirm import Confirm
from desktop.widgets.toasts import Toast
from engine.docker.client import DockerClient
from engine.docker.types import Attachment, Event, Network, RunSpec
from tests.unit.engine.bridge.servers import IMAGE

type WaitFor = Callable[..., None]
SLEEP = ("sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")


@pytest.fixture
def page(app: App, client: DockerClient) -> Iterator[NetworksPage]:
    app.window.go("networks")
    found = app.window.pages["networks"]
    assert isinstance(found, NetworksPage)
    found.show_map(False)
    yield found
    for container in client.containers.list():
        client.containers.remove(container.id, force=True)
    for network in client.networks.list():
        if not network.is_builtin:
            client.networks.remove(network.id)


def names(page: NetworksPage) -> list[str]:
    return [line.row.name for line in page.model.lines]


def row(page: NetworksPage, name: str) -> Network:
    rows = page.app.stores.networks.rows.values()
    return next(one for one in rows if one.name == name)


def attached_to(page: NetworksPage, name: str) -> list[str]:
    return sorted(one.container for one in row(page, name).attached)


def dialog[Kind: QDialog](app: App, kind: type[Kind]) -> Kind:
    found = [one for one in app.window.findChildren(kind) if one.isVisible()]
    assert len(found) == 1, f"one {kind.__name__}"
    return found[0]


def drawn(page: NetworksPage) -> list[tuple[str, str]]:
    spots = page.map.layout_now.spots
    return [(one.network.name, one.attachment.container) for one in spots if one.attachment]


def network(name: str, *members: str, subnet: str = "10.1.0.0/24") -> Network:
    attached = tuple(
        Attachment(f"id-{one}", one, f"10.1.0.{n}") for n, one in enumerate(members, 2)
    )
    return Network(
        f"id-{name}", name, "bridge", "local", 0.0, (subnet,), "10.1.0.1", False, attached
    )


def test_the_list_follows_the_engine_and_builtin_networks_stay(
    app: App, page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    QAbstractItemModelTester(page.model, QAbstractItemModelTester.FailureReportingMode.Fatal, app)
    assert names(page) == ["bridge", "host", "none"], "in a stable order"
    client.networks.create("seen", subnet="10.77.1.0/24", internal=True)
    wait_for(lambda: "seen" in names(page))
    assert names(page)[0] == "seen"
    found = row(page, "seen")
    assert (found.subnets, found.internal) == (("10.77.1.0/24",), True)
    page.table.choose(row(page, "bridge").id)
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    assert [toast.title for toast in app.window.findChildren(Toast)] == [
        "bridge is built into the Docker Engine."
    ]
    menu = QMenu()
    page.fill_menu(menu, [page.model.lines[page.model.place(row(page, "bridge").id)]])
    assert not next(one for one in menu.actions() if one.text() == "Delete…").isEnabled()
    menu.deleteLater()
    client.networks.remove("seen")
    wait_for(lambda: "seen" not in names(page))


def test_the_create_form_checks_addresses_before_it_sends_them(
    app: App, page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.networks.create("there", subnet="10.78.0.0/24")
    wait_for(lambda: "there" in names(page))
    QTest.mouseClick(page.create_button, Qt.MouseButton.LeftButton)
    form = dialog(app, CreateNetworkDialog)
    QTest.keyClicks(form.name, "there")
    QTest.keyClicks(form.subnet, "10.78.0.128/25")
    QTest.keyClick(form.subnet, Qt.Key.Key_Return)
    assert form.name.property("wrong")
    assert form.subnet.property("wrong")
    assert form.focusWidget() is form.name, "the first invalid field"
    form.name.setText("made")
    form.subnet.setText("10.79.0.0/24")
    form.gateway.setText("10.80.0.1")
    form.submit()
    assert form.gateway.property("wrong")
    form.gateway.setText("10.79.0.254")
    client.networks.create("raced", subnet="10.79.0.0/24")  # not in the window's list yet
    form.submit()
    assert form.asking.isVisible()
    wait_for(lambda: form.problem.isVisible())
    assert form.gateway.text() == "10.79.0.254", "a refusal keeps the input"
    client.networks.remove("raced")
    wait_for(lambda: "raced" not in names(page))
    form.submit()
    wait_for(lambda: "made" in names(page))
    assert row(page, "made").gateway == "10.79.0.254"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10.0.0.0/24", ""),
        ("fd00::/64", ""),
        ("10.0.0.0", "prefix length is missing"),
        ("10.0.0.7/24", "first address of this range is 10.0.0.0/24"),
        ("10.0.0/24", "Enter an address"),
        ("10.0.0.0/33", "Enter an address"),
    ],
)
def test_an_invalid_subnet_is_explained(text: str, reason: str) -> None:
    found, sentence = read_subnet(text)
    assert (found is None) == bool(reason)
    assert reason in sentence


def test_an_invalid_or_overlapping_address_is_explained() -> None:
    one = network("a", "web")
    subnet = read_subnet("10.1.0.0/24")[0]
    assert subnet is not None
    assert "a has 10.1.0.0/24" in overlapping(subnet, [one])
    assert not overlapping(subnet, [network("b", subnet="10.2.0.0/24")])
    assert wrong_gateway("10.1.0.1", subnet) == ""
    assert "needs a subnet" in wrong_gateway("10.1.0.1", None)
    assert "10.1.0.0/24" in wrong_gateway("10.9.0.1", subnet)
    assert "first and the last" in wrong_gateway("10.1.0.255", subnet)
    assert wrong_address("10.1.0.9", one) == ""
    assert "web has" in wrong_address("10.1.0.2", one)
    assert "gateway has" in wrong_address("10.1.0.1", one)
    assert "Enter an address" in wrong_address("10.1.0", one)


def test_a_container_is_connected_with_alias_and_address_and_disconnected(
    app: App, page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.networks.create("joined", subnet="10.81.0.0/24")
    client.containers.run(RunSpec(IMAGE, "runs", SLEEP))
    client.containers.create(RunSpec(IMAGE, "idle", ("true",)))
    wait_for(lambda: "joined" in names(page) and len(page.app.stores.containers.rows) == 2)
    page.open(row(page, "joined").id)
    opened = page.opened
    assert isinstance(opened, NetworkDetail)
    QTest.mouseClick(opened.connect_button, Qt.MouseButton.LeftButton)
    form = dialog(app, ConnectDialog)
    assert [form.container.itemText(n) for n in range(form.container.count())] == ["runs"]
    form.all.setChecked(True)
    assert form.container.count() == 2
    assert form.container.currentText() == "runs"
    form.alias.setText("shop")
    form.address.setText("10.82.0.9")
    form.submit()
    assert form.address.property("wrong")
    form.address.setText("10.81.0.9")
    form.submit()
    wait_for(lambda: opened.people_chip.text() == "1 container")
    assert row(page, "joined").attached[0].address == "10.81.0.9"
    assert b'"shop"' in client.containers.inspect(row(page, "joined").attached[0].container_id)
    attached = opened.made["containers"]
    assert isinstance(attached, AttachedList)
    disconnect = [
        b for b in attached.findChildren(type(opened.connect_button)) if b.text() == "Disconnect"
    ]
    QTest.mouseClick(disconnect[0], Qt.MouseButton.LeftButton)
    wait_for(lambda: opened.people_chip.text() == "0 containers")
    wait_for(lambda: [t for t in app.window.findChildren(Toast) if "not on joined" in t.title])


def test_delete_names_the_containers_that_it_disconnects(
    app: App, page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.networks.create("busy")
    client.containers.run(RunSpec(IMAGE, "runs", SLEEP, network="busy"))
    client.containers.create(RunSpec(IMAGE, "idle", ("true",), network="busy"))
    wait_for(lambda: "busy" in names(page) and attached_to(page, "busy") == ["idle", "runs"])
    store = app.app_context.stores.containers
    wait_for(lambda: [one.name for one in store.rows.values() if one.state.is_up] == ["runs"])
    page.table.choose(row(page, "busy").id)
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    confirm = dialog(app, Confirm)
    text = " ".join(one.text() for one in confirm.findChildren(type(page.title_label)))
    assert "Disconnected first, while running: runs." in text
    assert "cannot start again without it: idle." in text
    confirm.agree.click()
    wait_for(lambda: "busy" not in names(page))
    states = {one.name: one.state.is_up for one in client.containers.list()}
    assert states == {"runs": True, "idle": False}, "no container is deleted"


def test_prune_lists_the_networks_that_it_deletes(
    app: App, page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    for name in ("idle", "used"):
        client.networks.create(name)
    client.containers.run(RunSpec(IMAGE, "runs", SLEEP, network="used"))
    wait_for(lambda: {"idle", "used"} <= set(names(page)) and attached_to(page, "used") == ["runs"])
    client.containers.create(RunSpec(IMAGE, "stopped", ("true",), network="idle"))
    wait_for(lambda: len(page.app.stores.containers.rows) == 2 and attached_to(page, "idle"))
    QTest.mouseClick(page.prune_button, Qt.MouseButton.LeftButton)
    form = dialog(app, PruneDialog)
    wait_for(lambda: form.agree.isEnabled())
    assert form.names.toPlainText() == "idle"
    form.agree.click()
    wait_for(lambda: "idle" not in names(page))
    assert "used" in names(page)


def test_the_list_drops_a_stopped_container_that_is_removed(
    page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    client.networks.create("held")
    made = client.containers.create(RunSpec(IMAGE, "idle", ("true",), network="held"))
    wait_for(lambda: "held" in names(page) and attached_to(page, "held") == ["idle"])
    client.containers.remove(made)
    wait_for(lambda: attached_to(page, "held") == [])


def test_the_map_shows_attached_containers_and_opens_them(
    app: App, page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    for name in ("front", "rear"):
        client.networks.create(name)
    made = client.containers.run(RunSpec(IMAGE, "web", SLEEP, network="front"))
    client.networks.connect("rear", made)
    client.containers.run(RunSpec(IMAGE, "db", SLEEP, network="rear"))
    wait_for(lambda: len(names(page)) == 5 and attached_to(page, "rear") == ["db", "web"])
    QTest.mouseClick(page.map_button, Qt.MouseButton.LeftButton)
    shown = page.map
    wait_for(lambda: drawn(page) == [("front", "web"), ("rear", "web"), ("rear", "db")])
    assert shown.layout_now.joined == {made}
    address = row(page, "front").attached[0].address
    assert f"web {address}" in shown.accessibleDescription()

    def spot(part: Part, name: str, container: str = "") -> Spot:
        return next(
            one
            for one in shown.layout_now.spots
            if (one.part, one.network.name) == (part, name)
            and (one.attachment.container if one.attachment else "") == container
        )

    QTest.mouseClick(
        shown, Qt.MouseButton.LeftButton, pos=spot(Part.NETWORK, "rear").where.center()
    )
    chosen = page.table.current_line()
    assert chosen is not None
    assert chosen.row.name == "rear"
    shown.setFocus()
    QTest.keyClick(shown, Qt.Key.Key_Home)
    assert "front" in shown.accessibleName()
    QTest.keyClick(shown, Qt.Key.Key_Down)
    assert "rear" in shown.accessibleName()
    QTest.keyClick(shown, Qt.Key.Key_Right)
    assert "web on rear" in shown.accessibleName()
    assert "also on front" in shown.accessibleName()
    page.filter.setText("front")
    assert drawn(page) == [("front", "web")]
    page.filter.clear()
    QTest.keyClick(shown, Qt.Key.Key_Home)
    QTest.keyClick(shown, Qt.Key.Key_Return)
    assert isinstance(page.opened, NetworkDetail)
    page.back()
    assert page.stack.currentIndex() == page.stack.count() - 1, "back to the map"
    QTest.mouseClick(
        shown, Qt.MouseButton.LeftButton, pos=spot(Part.CONTAINER, "rear", "web").where.center()
    )
    assert app.window.current_key == "containers"


def test_the_layout_has_no_overlaps_and_folds_long_lists() -> None:
    many = network("many", *(f"c-{n}" for n in range(100)))
    few = network("few", "c-3", "alone")
    layout = lay_out([many, few, network("empty")], 1032)
    spots = layout.spots
    assert not any(a.where.intersects(b.where) for n, a in enumerate(spots) for b in spots[n + 1 :])
    assert all(lane.where.contains(one.where) for lane in layout.lanes for one in lane.spots)
    more = next(one for one in spots if one.part is Part.MORE)
    shown = [one for one in spots if one.attachment and one.network is many]
    assert more.count + len(shown) == 100
    assert layout.height < 600
    joined = [
        one.where.left() for one in spots if one.attachment and one.attachment.container == "c-3"
    ]
    assert len(set(joined)) == 1, "in the same column of each lane"
    assert joined[0] == NAME_WIDTH
    whole = lay_out([many], 1032, {many.id})
    assert len([one for one in whole.spots if one.attachment]) == 100
    narrow = lay_out([few], 100)
    assert [one.where.topLeft().x() for one in narrow.spots if one.attachment] == [NAME_WIDTH] * 2
    assert lay_out([], 500).height == 0


def test_an_address_is_shown_again_after_a_restart(
    app: App, page: NetworksPage, client: DockerClient, wait_for: WaitFor
) -> None:
    """dockerd sends the event of the connection before its list has the new address."""
    for timer in app.app_context.stores.networks.findChildren(QTimer):
        timer.setInterval(0)  # as if the engine were slow between the two
    client.networks.create("front", subnet="10.83.0.0/24")
    made = client.containers.run(RunSpec(IMAGE, "web", SLEEP, network="front"))
    page.show_map(True)
    wait_for(lambda: "web 10.83.0.2" in page.map.accessibleDescription())
    wait_for(lambda: made in app.app_context.stores.containers.rows)
    events: list[Event] = []
    app.app_context.stores.told.connect(events.append)
    for _ in range(3):
        events.clear()
        containers.restart(app.app_context, [app.app_context.stores.containers.rows[made]])
        wait_for(lambda: any(event.action == "restart" for event in events))
        wait_for(lambda: "web 10.83.0.2" in page.map.accessibleDescription(), 3)
