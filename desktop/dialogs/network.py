"""Creating a network, and connecting a container to one.

Addresses are validated here, before the request.
"""

import ipaddress
import re
from collections.abc import Iterable

from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QWidget

from desktop.actions import networks as actions
from desktop.context import AppContext
from desktop.dialogs.form import FormDialog
from desktop.i18n.text import tr
from engine.docker.types import Container, Network

DRIVERS = ("bridge", "macvlan", "ipvlan")
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
SUBNET, GATEWAY = "10.20.0.0/24", "10.20.0.1"  # as an example

type Range = ipaddress.IPv4Network | ipaddress.IPv6Network
type Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_subnet(text: str) -> tuple[Range | None, str]:
    """The range, or the error."""
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None, tr(
            "Enter an address with a prefix length, for example {example}.", example=SUBNET
        )
    if "/" not in text:
        return None, tr("The prefix length is missing. Example: {example}", example=SUBNET)
    if text.partition("/")[0] != str(loose.network_address):
        return None, tr("The first address of this range is {right}.", right=loose)
    return loose, ""


def overlapping(wanted: Range, networks: Iterable[Network]) -> str:
    """Which network has some of these addresses already."""
    for network in networks:
        for subnet in network.subnets:
            taken, _ = read_subnet(subnet)
            if taken is not None and taken.version == wanted.version and taken.overlaps(wanted):
                return tr("{name} has {taken} already.", name=network.name, taken=subnet)
    return ""


def read_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def wrong_gateway(text: str, subnet: Range | None) -> str:
    address = read_address(text)
    if address is None:
        return tr("Enter an address, for example {example}.", example=GATEWAY)
    if subnet is None:
        return tr("A gateway needs a subnet that it is in.")
    return _wrong_in(address, [subnet])


def wrong_address(text: str, network: Network) -> str:
    """The error in a container's address on a network."""
    address = read_address(text)
    if address is None:
        return tr("Enter an address, for example {example}.", example=GATEWAY)
    ranges = [found for subnet in network.subnets if (found := read_subnet(subnet)[0])]
    sentence = _wrong_in(address, ranges)
    if sentence:
        return sentence
    holder = next((one.container for one in network.attached if one.address == str(address)), "")
    if not holder and str(address) == network.gateway:
        holder = tr("the gateway")
    return tr("{holder} has this address.", holder=holder) if holder else ""


def _wrong_in(address: Address, ranges: Iterable[Range]) -> str:
    for one in ranges:
        if address in one:
            ends = (one.network_address, one.broadcast_address)
            reserved = one.num_addresses > 2 and address in ends
            return tr("The first and the last address cannot be used.") if reserved else ""
    names = ", ".join(map(str, ranges))
    return tr("This is not in {ranges}.", ranges=names)


class CreateNetworkDialog(FormDialog):
    def __init__(self, app: AppContext, parent: QWidget) -> None:
        super().__init__(parent, tr("Create a network"), tr("Create"))
        self._app = app
        self.name = QLineEdit()
        self.driver = QComboBox()
        self.driver.setEditable(True)
        self.driver.addItems(DRIVERS)
        self.subnet = QLineEdit(placeholderText=SUBNET)
        self.gateway = QLineEdit(placeholderText=GATEWAY)
        self.internal = QCheckBox(tr("Internal: no access to external networks"))
        self._name = self.add_field(tr("Name"), self.name)
        self._driver = self.add_field(
            tr("Driver"),
            self.driver,
            tr(
                "bridge connects containers on this engine; the others connect them to the "
                "engine's network."
            ),
        )
        self._subnet = self.add_field(
            tr("Subnet"), self.subnet, tr("Empty: the engine chooses a free one.")
        )
        self._gateway = self.add_field(tr("Gateway"), self.gateway)
        self.fields.addWidget(self.internal)
        self.name.setFocus()

    def send(self) -> bool:
        subnet, wrong_subnet = None, ""
        if self.subnet.text().strip():
            subnet, wrong_subnet = read_subnet(self.subnet.text().strip())
            if subnet is not None:
                wrong_subnet = overlapping(subnet, self._app.stores.networks.rows.values())
        gateway = self.gateway.text().strip()
        checks_gateway = gateway and not wrong_subnet  # one error at a time
        complaints = [
            self._name.complain(self._wrong_name()),
            self._driver.complain("" if self._chosen_driver() else tr("Enter a driver.")),
            self._subnet.complain(wrong_subnet),
            self._gateway.complain(wrong_gateway(gateway, subnet) if checks_gateway else ""),
        ]
        if any(complaints):
            return False
        new = actions.NewNetwork(
            self.name.text().strip(),
            self._chosen_driver(),
            str(subnet or ""),
            gateway,
            self.internal.isChecked(),
        )
        actions.create(self._app, new, self.granted, self.refused)
        return True

    def _chosen_driver(self) -> str:
        return self.driver.currentText().strip()

    def _wrong_name(self) -> str:
        name = self.name.text().strip()
        if not NAME.fullmatch(name):
            return tr("Letters, digits and . _ -, and a letter or digit first.")
        if name in [row.name for row in self._app.stores.networks.rows.values()]:
            return tr("There is a network of this name already.")
        return ""


class ConnectDialog(FormDialog):
    """Puts a container on a network. Running ones first, the others on demand."""

    def __init__(self, app: AppContext, network: Network, parent: QWidget) -> None:
        title = tr("Connect a container to {name}", name=network.name)
        super().__init__(parent, title, tr("Connect"))
        self._app = app
        self._network = network
        self._containers: list[Container] = []
        self.container = QComboBox()
        self._container = self.add_field(tr("Container"), self.container)
        self.all = QCheckBox(tr("Also containers that are not running"))
        self.all.toggled.connect(lambda _on: self._fill())
        self.fields.addWidget(self.all)
        self.alias = QLineEdit()
        self._alias = self.add_field(
            tr("Alias"), self.alias, tr("Additional name of the container on this network.")
        )
        self.address = QLineEdit()
        subnets = ", ".join(network.subnets)
        self._address = self.add_field(
            tr("Address"),
            self.address,
            tr("In {subnets}. Empty: the engine chooses one.", subnets=subnets),
        )
        for field in (self._alias, self._address):
            field.set_visible(not network.is_builtin)  # a built-in network supports neither
        self._fill()
        self.container.setFocus()

    def send(self) -> bool:
        here = self.container.currentIndex()
        address = self.address.text().strip()
        complaints = [
            self._container.complain("" if here >= 0 else tr("There is none to choose.")),
            self._address.complain(wrong_address(address, self._network) if address else ""),
        ]
        if any(complaints):
            return False
        alias = self.alias.text().split()
        chosen = self._containers[here]
        actions.connect(
            self._app, self._network, chosen, alias, address, self.granted, self.refused
        )
        return True

    def _fill(self) -> None:
        taken = {one.container_id for one in self._network.attached}
        rows = [row for row in self._app.stores.containers.rows.values() if row.id not in taken]
        self._containers = sorted(
            (row for row in rows if row.state.is_up or self.all.isChecked()),
            key=lambda row: (not row.state.is_up, row.name),
        )
        before = self.container.currentText()
        self.container.clear()
        self.container.addItems([row.name for row in self._containers])
        self.container.setCurrentText(before)
        self.container.setEnabled(bool(self._containers))
