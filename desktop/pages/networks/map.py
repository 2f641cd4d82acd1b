"""The map of networks and their containers. Next: `map_paint.py`, which paints lanes and
containers.

One widget, with arrow keys: its accessible name is the selection, its description the whole map as
text.
"""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop.context import AppContext
from desktop.i18n.text import plural, tip, tr
from desktop.models.networks import subnet_text
from desktop.pages.networks.map_layout import Layout, Part, Spot, lay_out
from desktop.pages.networks.map_paint import Brush
from engine.docker.types import Network

STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class NetworkMap(QWidget):
    """`network_chosen`: by a click or a key; `…_wanted`: to be opened."""

    network_chosen = Signal(str)
    network_wanted = Signal(str)
    container_wanted = Signal(str)
    menu_wanted = Signal(str, QPoint)
    delete_wanted = Signal(str)
    reached = Signal(object)  # QRect that should be on the screen

    def __init__(self, app: AppContext) -> None:
        super().__init__()
        self._app = app
        self._networks: tuple[Network, ...] = ()
        self._unfolded: set[str] = set()
        self._brush = Brush(app)
        self.layout_now: Layout = lay_out((), 600)
        self.current: Spot | None = None
        self.hovered: Spot | None = None
        self.chosen = ""  # the id of a network
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Map of networks"))
        for signal in (app.theme.changed, app.stores.containers.changed, app.connection.changed):
            signal.connect(lambda *_args: self.update())

    def show_networks(self, networks: Sequence[Network]) -> None:
        if tuple(networks) != self._networks:
            self._networks = tuple(networks)
            self._arrange()
            self.setAccessibleDescription(self.describe())

    def describe(self) -> str:
        """The map as text, a line for each network."""
        lines, none = [], tr("no containers")
        for network in self._networks:
            attached = ", ".join(
                f"{one.container} {one.address}".strip() for one in network.attached
            )
            lines.append(f"{network.name}, {subnet_text(network)}: {attached or none}")
        return "\n".join(lines)

    def choose(self, network: str) -> None:
        """Mark a network as chosen."""
        self.chosen = network
        self.update()

    # Inside

    def _arrange(self) -> None:
        self.layout_now = lay_out(self._networks, self.width(), self._unfolded)
        self.current, self.hovered = self._again(self.current), self._again(self.hovered)
        self.setFixedHeight(max(1, self.layout_now.height))
        self.update()

    def _again(self, spot: Spot | None) -> Spot | None:
        """The same thing where it is now."""
        if spot is None:
            return None
        return next((one for one in self.layout_now.spots if one.key == spot.key), None)

    def _spot_at(self, place: QPoint) -> Spot | None:
        return next((one for one in self.layout_now.spots if one.where.contains(place)), None)

    def _move_to(self, spot: Spot | None) -> None:
        self.current = spot
        if spot is not None:
            name = tr("Map of networks: {what}", what=self._words(spot))
            self.setAccessibleName(name)
            self.reached.emit(spot.where)
        self.update()

    def _words(self, spot: Spot) -> str:
        if spot.part is Part.MORE:
            return self._brush.more_text(spot)
        if spot.attachment is None:
            count = plural("%n containers", "%n container", len(spot.network.attached))
            return f"{spot.network.name}, {subnet_text(spot.network)}, {count}"
        one = spot.attachment
        others = [
            other.name
            for other in self._networks
            if other is not spot.network
            and any(each.container_id == one.container_id for each in other.attached)
        ]
        text = tr("{name} on {network}", name=one.container, network=spot.network.name)
        text = ", ".join(filter(None, (text, one.address)))
        return (
            tr("{said}, also on {others}", said=text, others=", ".join(others)) if others else text
        )

    def _act(self, spot: Spot, *, open_it: bool) -> None:
        """A container opens, a network is chosen and then opens, a long lane unfolds."""
        if spot.part is Part.MORE:
            self._unfolded ^= {spot.network.id}
            self._arrange()
        elif spot.attachment is not None:
            self.container_wanted.emit(spot.attachment.container_id)
        else:
            self.choose(spot.network.id)
            (self.network_wanted if open_it else self.network_chosen).emit(spot.network.id)

    # QWidget

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(600, self.layout_now.height)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._arrange()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.font())
        focused = self.current if self.hasFocus() else None
        self._brush.draw(painter, event.rect(), self.layout_now, focused, self.hovered, self.chosen)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        if self.current is None:
            self._move_to(next(iter(self.layout_now.spots), None))
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key, spot = Qt.Key(event.key()), self.current
        if key in STEPS:
            self._walk(*STEPS[key])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and spot is not None:
            self._act(spot, open_it=True)
        elif key == Qt.Key.Key_Space and spot is not None:
            self._act(spot, open_it=False)
        elif key == Qt.Key.Key_Delete and spot is not None and spot.part is Part.NETWORK:
            self.delete_wanted.emit(spot.network.id)
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End) and self.layout_now.spots:
            self._move_to(self.layout_now.spots[0 if key == Qt.Key.Key_Home else -1])
        else:
            super().keyPressEvent(event)

    def _walk(self, x: int, y: int) -> None:
        """Along the order of the map, or to what is nearest above or below."""
        spots = self.layout_now.spots
        if self.current is None or self.current not in spots:
            self._move_to(spots[0] if spots else None)
            return
        if x:
            place = spots.index(self.current) + x
            self._move_to(spots[max(0, min(place, len(spots) - 1))])
            return
        here = self.current.where.center()
        beyond = [one for one in spots if (one.where.center().y() - here.y()) * y > 20]
        near = min(
            beyond,
            key=lambda one: (
                abs(one.where.center().y() - here.y()) + 3 * abs(one.where.center().x() - here.x())
            ),
            default=None,
        )
        if near is not None:
            self._move_to(near)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        spot = self._spot_at(event.position().toPoint())
        if spot is not self.hovered:
            self.hovered = spot
            pointing = Qt.CursorShape.PointingHandCursor
            self.setCursor(pointing if spot else Qt.CursorShape.ArrowCursor)
            self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.hovered = None
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        spot = self._spot_at(event.position().toPoint())
        if spot is not None and event.button() == Qt.MouseButton.LeftButton:
            self._move_to(spot)
            self._act(spot, open_it=False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        spot = self._spot_at(event.position().toPoint())
        if spot is not None and spot.part is Part.NETWORK:
            self._act(spot, open_it=True)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        by_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        spot = self._spot_at(event.pos()) if by_mouse else self.current
        if spot is not None:
            place = event.pos() if by_mouse else spot.where.center()
            self.choose(spot.network.id)
            self.network_chosen.emit(spot.network.id)
            self.menu_wanted.emit(spot.network.id, self.mapToGlobal(place))

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            spot = self._spot_at(event.pos())
            QToolTip.showText(event.globalPos(), tip(self._words(spot) if spot else ""), self)
            return True
        return super().event(event)
