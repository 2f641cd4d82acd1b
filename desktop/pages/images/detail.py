"""The detail view of an image: its layers, its defaults for containers, and its users.

Next: `layers.py` for the bars, `facts.py` for the side panel, `layer_files.py` for the files of a
layer.
"""

from collections.abc import Callable
from functools import partial

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QStackedWidget, QWidget
from shiboken6 import Shiboken

from desktop.context import AppContext
from desktop.dialogs import images as dialogs
from desktop.i18n import messages
from desktop.i18n.text import plural, short_id, size, tip, tr
from desktop.models.images import NamedImage, find
from desktop.pages.framed import FramedDetail
from desktop.pages.images.facts import ImageFacts
from desktop.pages.images.layer_files import LayerFilesPanel
from desktop.pages.images.layers import LayerList
from desktop.pages.images.menu import fill_menu
from desktop.pages.page import chip
from desktop.widgets.basics import button, card, column, icon_button, label, scrolled
from desktop.widgets.inspect_text import InspectText
from desktop.widgets.levels import step_out_of
from desktop.widgets.menu import Menu
from engine.docker.types import ImageDetail, Layer
from vm.errors import Problem

ROOMY = 900  # pixels of the page in which all buttons have room


class ImageDetailView(FramedDetail):
    def __init__(self, app: AppContext, line: NamedImage, back: Callable[[], object]) -> None:
        super().__init__(app, line.title, back)
        self.line = line
        self.overview: Overview | None = None
        self.add_chips(chip(short_id(line.image.id)), chip(), chip())
        self.head.addStretch(1)
        self._fill_head()
        self.add_tab("layers", tr("Layers"), self._make_overview)
        self.add_tab("inspect", tr("Inspect"), self._make_inspect)
        self.show_tab("layers")
        app.stores.images.changed.connect(self._follow)

    def leave(self) -> None:
        self.app.stores.images.changed.disconnect(self._follow)
        if self.overview is not None:
            self.overview.leave()

    def show_detail(self, detail: ImageDetail) -> None:
        """Show the details, some of them in the head too."""
        texts = (short_id(detail.id), f"{detail.os}/{detail.architecture}", size(detail.size))
        for one, text in zip(self.chips, texts, strict=True):
            one.setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """In a narrow window, hide the buttons whose actions are in the menu too."""
        for button_there in self._in_menu_too:
            button_there.setVisible(self.width() >= ROOMY)
        self.fit_head()

    def _fill_head(self) -> None:
        theme, words = self.app.theme, tr("Run…")
        run = icon_button(theme, "start", words, self._run, text=words, kind="primary")
        more = icon_button(theme, "more", tr("More"), kind="")
        menu = Menu(more)
        menu.aboutToShow.connect(partial(self._fill_menu, menu))
        more.setMenu(menu)
        push = button(tr("Push…"), lambda: dialogs.ask_push(self.app, self.line))
        tag = button(tr("Add a name…"), lambda: dialogs.ask_tag(self.app, self.line))
        for widget in (tag, push, run, more):
            self.head.addWidget(widget)
        self._in_menu_too = (tag, push)

    def _fill_menu(self, menu: QMenu) -> None:
        menu.clear()
        fill_menu(menu, self.app, [self.line], None)

    def _run(self) -> None:
        self.app.window.run_image(self.line.ref)

    def _make_overview(self) -> QWidget:
        self.overview = Overview(self.app, self.line, self.show_detail)
        return self.overview

    def _make_inspect(self) -> QWidget:
        return InspectText(
            self.app, lambda: self.app.connection.client.images.inspect(self.line.image.id)
        )

    def _follow(self, _delta: object) -> None:
        line = find(self.app.stores, self.line.key)
        if line is None:
            if self.app.stores.images.is_loaded:
                self.say_gone(tr("This image does not exist any more."))
            return
        if line.tag != self.line.tag:  # the name that it was opened by is gone
            self.title.setText(line.title)
            self.title.setToolTip(tip(line.title))
        self.line = line


class Overview(QWidget):
    """Layers to the left; to the right the facts, or the files of the layer that was pressed."""

    def __init__(
        self, app: AppContext, line: NamedImage, on_detail: Callable[[ImageDetail], object]
    ) -> None:
        super().__init__()
        self._app = app
        self._line = line
        self._on_detail = on_detail
        self.layers: LayerList | None = None
        self.facts: ImageFacts | None = None
        self.files = LayerFilesPanel(app, line.image.id, self._close_files)
        self.note = label(tr("Querying the engine…"), "secondary", wrap=True)
        self._again = button(tr("Try again"), self._ask)
        self._again.hide()
        self._left = column(self.note, self._again)
        self._left.addStretch(1)
        self._right = QStackedWidget()
        self._right.addWidget(QWidget())
        self._right.addWidget(self.files)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(16)
        box.addWidget(card(self._left), 1)
        right = column(self._right)
        box.addWidget(card(right), 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._ask()

    def leave(self) -> None:
        self.files.stop()
        if self.facts is not None:
            self.facts.leave()

    def step_out(self) -> bool:
        if self._right.currentWidget() is not self.files:
            return False
        if not step_out_of(self.files.filter, self.files.view):
            self._close_files()
        return True

    def _ask(self) -> None:
        self._again.hide()
        self.note.setText(tr("Querying the engine…"))

        def work() -> ImageDetail:
            return self._app.connection.client.images.detail(self._line.image.id)

        self._app.tasks.quietly(work, self._show, self._fail)

    def _fail(self, problem: Problem) -> None:
        if Shiboken.isValid(self):
            self.note.setText(messages.told(problem))
            self._again.show()

    def _show(self, detail: ImageDetail) -> None:
        if not Shiboken.isValid(self):
            return
        made = sum(bool(layer.diff_id) for layer in detail.layers)
        count = plural("%n layers", "%n layer", made)
        self.note.setText(
            tr("{count}, {size}, the newest on top", count=count, size=size(detail.size))
        )
        self.layers = LayerList(detail.layers, self._app.theme)
        self.layers.chosen.connect(self._open_files)
        whole = column(self.layers, 1, gap=0)
        holder = QWidget()
        holder.setLayout(whole)
        self._left.takeAt(self._left.count() - 1)
        self._left.addWidget(scrolled(holder), 1)
        self.facts = ImageFacts(self._app, self._line, detail)
        area = scrolled(self.facts)
        self._right.insertWidget(0, area)
        self._right.setCurrentWidget(area)
        self._on_detail(detail)

    def _open_files(self, layer: Layer) -> None:
        self._right.setCurrentWidget(self.files)
        self.files.show_layer(layer)

    def _close_files(self) -> None:
        """Return the focus to the layer whose files were shown."""
        chosen = self.layers.chosen_button() if self.layers is not None else None
        if chosen is not None:
            chosen.setFocus()
        self.files.stop()
        self._right.setCurrentIndex(0)
        if self.layers is not None:
            self.layers.clear_choice()
