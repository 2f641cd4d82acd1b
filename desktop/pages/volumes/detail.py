"""The detail view of a volume: its files, its containers, and Docker's JSON. Next:
`desktop/widgets/file_browser.py`.
"""

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QWidget

from desktop.actions import volumes as actions
from desktop.context import AppContext
from desktop.i18n.text import plural, tr
from desktop.models.volumes import VolumeFacts
from desktop.pages.attached import AttachedList, User
from desktop.pages.framed import FramedDetail
from desktop.pages.page import chip
from desktop.pages.volumes.menu import export, fill_menu
from desktop.stores.store import Delta
from desktop.widgets.basics import button, icon_button
from desktop.widgets.file_browser import LIMIT, FileBrowser
from desktop.widgets.inspect_text import InspectText
from desktop.widgets.menu import Menu
from engine.docker.cancel import Cancel
from engine.docker.types import FileEntry, Volume


class VolumeDetail(FramedDetail):
    def __init__(
        self, app: AppContext, key: str, facts: VolumeFacts, back: Callable[[], object]
    ) -> None:
        super().__init__(app, key, back)
        self.key = key
        self._facts = facts
        self._size = -1
        row = app.stores.volumes.rows[key]
        self.row: Volume = row
        self.size_chip, self.users_chip = chip(), chip()
        self.more = icon_button(app.theme, "more", tr("More"), self._menu, kind="")
        self.add_chips(self.size_chip, self.users_chip, chip(row.driver))
        self.head.addStretch(1)
        self.export_button = button(tr("Export…"), lambda: export(app, self.row))
        self.add_to_head(self.export_button, self.more)
        self.add_tab("files", tr("Files"), self._make_files)
        self.add_tab("containers", tr("Containers"), self._make_users)
        self.add_tab("inspect", tr("Inspect"), self._make_inspect)
        self.show_tab("files")
        app.stores.facts_changed.connect(self._follow)
        app.stores.containers.changed.connect(self._follow)
        app.stores.volumes.changed.connect(self._follow_row)
        self._follow()

    def leave(self) -> None:
        browser = self.made.get("files")
        if isinstance(browser, FileBrowser):
            browser.leave()

    def refresh(self) -> None:
        for made in self.made.values():
            if isinstance(made, FileBrowser | InspectText):
                made.refresh()

    def tab_shown(self, tab: str) -> None:
        if tab != "files":
            self._follow()

    def _make_files(self) -> QWidget:
        app, name = self.app, self.key

        def list_folder(path: str, cancel: Cancel) -> Sequence[FileEntry]:
            return app.connection.client.volumes.list_files(name, path, cancel)

        def read(path: str) -> bytes:
            return app.connection.client.volumes.read_file(name, path, LIMIT)

        browser = FileBrowser(app, list_folder, read)
        self.setFocusProxy(browser)
        browser.open_folder("/")
        return browser

    def _make_users(self) -> QWidget:
        return AttachedList(self.app, tr("No container uses it. It can be deleted."))

    def _make_inspect(self) -> QWidget:
        return InspectText(self.app, lambda: actions.inspect(self.app, self.key))

    def _follow(self, _delta: object = None) -> None:
        users = self._facts.users(self.key)
        size = self._facts.size(self.key)
        if size not in (-1, self._size) and self._size >= 0:
            self._read_again()
        self._size = size
        self.size_chip.setText(self._facts.size_text(self.key))
        used = plural("used by %n containers", "used by %n container", len(users))
        self.users_chip.setText(used if users else tr("unused"))
        self.fit_head()
        shown = self.made.get("containers")
        if isinstance(shown, AttachedList):
            shown.show_users([User(user) for user in users])

    def _read_again(self) -> None:
        """Its content has changed; an open file stays open."""
        browser = self.made.get("files")
        if isinstance(browser, FileBrowser) and not browser.file:
            browser.refresh()

    def _follow_row(self, delta: Delta) -> None:
        if self.key in delta.removed:
            self.say_gone(tr("This volume does not exist any more."))

    def _menu(self) -> None:
        menu = Menu(self)
        fill_menu(menu, self.app, [self.row], None)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))
