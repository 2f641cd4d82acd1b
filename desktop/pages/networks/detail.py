"""The detail view of a network: its containers, its settings, and Docker's JSON."""

from collections.abc import Callable
from functools import partial

from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from desktop.actions import networks as actions
from desktop.context import AppContext
from desktop.i18n.text import age, plural, tr
from desktop.models.networks import NONE, attached, kind_text, subnet_text
from desktop.pages.attached import AttachedList, User
from desktop.pages.framed import FramedDetail
from desktop.pages.networks.menu import can_connect, connect, copy, fill_menu
from desktop.pages.page import chip
from desktop.stores.store import Delta
from desktop.widgets.basics import button, card, column, holder, icon_button, label
from desktop.widgets.elided import Elided
from desktop.widgets.inspect_text import InspectText
from desktop.widgets.menu import Menu
from engine.docker.types import Container, Network


class NetworkDetail(FramedDetail):
    def __init__(self, app: AppContext, key: str, back: Callable[[], object]) -> None:
        self.row: Network = app.stores.networks.rows[key]
        super().__init__(app, self.row.name, back)
        self.key = key
        self.people_chip = chip()
        self.kind_chip = chip(kind_text(self.row))
        self.connect_button = button(
            tr("Connect a container…"), lambda: connect(app, self.row), "primary"
        )
        self.more = icon_button(app.theme, "more", tr("More"), self._menu, kind="")
        self.add_chips(
            self.people_chip, self.kind_chip, chip(subnet_text(self.row)), chip(self.row.driver)
        )
        self.head.addStretch(1)
        self.add_to_head(self.connect_button, self.more)
        self.connect_button.setVisible(can_connect(self.row))
        self.add_tab("containers", tr("Containers"), self._make_people)
        self.add_tab("settings", tr("Settings"), self._make_settings)
        self.add_tab("inspect", tr("Inspect"), self._make_inspect)
        self.show_tab("containers")
        app.stores.networks.changed.connect(self._follow_row)
        app.stores.containers.changed.connect(self._follow)

    def refresh(self) -> None:
        shown = self.made.get("inspect")
        if isinstance(shown, InspectText):
            shown.refresh()

    def tab_shown(self, tab: str) -> None:
        if tab == "containers":
            self._follow()

    def _make_people(self) -> QWidget:
        return AttachedList(
            self.app,
            tr("No container is connected. Containers on this network reach each other by name."),
            tr("Disconnect") if can_connect(self.row) else "",
            self._disconnect,
        )

    def _make_settings(self) -> QWidget:
        row = self.row
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(12)
        facts = (
            (tr("Driver"), row.driver),
            (tr("Scope"), row.scope),
            (tr("Subnet"), subnet_text(row)),
            (tr("Gateway"), row.gateway or NONE),
            (
                tr("Internal"),
                tr("yes: no access to external networks") if row.internal else tr("no"),
            ),
            (tr("Built in"), tr("yes: it cannot be deleted") if row.is_builtin else tr("no")),
            (tr("Created"), tr("{age} ago", age=age(row.created))),
        )
        grid.addWidget(label(tr("ID"), "secondary"), 0, 0)
        grid.addWidget(Elided(row.id, "mono"), 0, 1)
        for place, (name, text) in enumerate(facts, 1):
            grid.addWidget(label(name, "secondary"), place, 0)
            value = label(text, "mono", select=True)
            value.setAccessibleName(name)
            grid.addWidget(value, place, 1)
        theme = self.app.theme
        copy_id = icon_button(theme, "copy", tr("Copy ID"), partial(copy, self.app, row.id))
        grid.addWidget(copy_id, 0, 2)
        grid.setColumnStretch(3, 1)
        framed = card(grid)
        framed.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        return holder(column(framed, 1))

    def _make_inspect(self) -> QWidget:
        return InspectText(self.app, lambda: actions.inspect(self.app, self.key))

    def _disconnect(self, container: Container) -> None:
        actions.disconnect(self.app, self.row, container)

    def _follow(self, _delta: object = None) -> None:
        people = attached(self.app.stores, self.row)
        self.people_chip.setText(plural("%n containers", "%n container", len(people)))
        self.fit_head()
        shown = self.made.get("containers")
        if isinstance(shown, AttachedList):
            shown.show_users([User(container, address) for container, address in people])

    def _follow_row(self, delta: Delta) -> None:
        if self.key in delta.removed:
            self.say_gone(tr("This network does not exist any more."))
            return
        self.row = self.app.stores.networks.rows.get(self.key, self.row)
        self._follow()

    def _menu(self) -> None:
        menu = Menu(self)
        fill_menu(menu, self.app, [self.row], None)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))
