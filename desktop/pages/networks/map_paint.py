"""Paints the map of networks: lanes, wires, containers."""

from itertools import pairwise

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen

from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.models.containers import state_dot
from desktop.models.networks import kind_text, subnet_text
from desktop.pages.networks.map_layout import GAP, NAME_WIDTH, STEM, Lane, Layout, Part, Spot
from desktop.theme import icons
from desktop.theme.theme import monospace
from desktop.theme.tokens import RADIUS
from desktop.widgets.list.row_delegate import draw_dot


class Brush:
    """Draws a layout with the colours of the theme."""

    def __init__(self, app: AppContext) -> None:
        self._app = app

    def draw(
        self,
        painter: QPainter,
        clip: QRect,
        layout: Layout,
        focused: Spot | None,
        hovered: Spot | None,
        chosen: str,
    ) -> None:
        """Lanes, what stands on their wires, and what joins them."""
        if not self._app.connection.is_up:
            painter.setOpacity(0.5)
        lanes = [lane for lane in layout.lanes if lane.where.intersects(clip)]
        for lane in lanes:
            self._lane(painter, lane, lane.network.id == chosen)
        lit = _container_id(hovered) or _container_id(focused)
        for lane in lanes:
            for spot in lane.spots:
                near = hovered is not None and spot.key == hovered.key
                self._spot(painter, spot, near or bool(lit and _container_id(spot) == lit))
        self._joints(painter, layout, lit)
        if focused is not None:
            self._ring(painter, focused.where)

    def more_text(self, spot: Spot) -> str:
        return tr("{n} more", n=spot.count) if spot.count else tr("Show fewer")

    def _color(self, name: str) -> QColor:
        return self._app.theme.color(name)

    def _lane(self, painter: QPainter, lane: Lane, chosen: bool) -> None:
        painter.setPen(QPen(self._color("accent" if chosen else "line"), 1))
        painter.setBrush(self._color("surface"))
        painter.drawRoundedRect(QRectF(lane.where).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        self._wires(painter, lane)

    def _wires(self, painter: QPainter, lane: Lane) -> None:
        """From the name down, along each row, and a stem to each container."""
        hanging = [spot.where for spot in lane.spots[1:]]
        if not hanging:
            return
        painter.setPen(QPen(self._color("accent"), 2))
        trunk = NAME_WIDTH - 14.0
        rows = sorted({where.top() - STEM for where in hanging})
        painter.drawLine(QPointF(trunk, rows[0]), QPointF(trunk, rows[-1]))
        painter.setBrush(self._color("accent"))
        painter.drawEllipse(QPointF(trunk, rows[0]), 3.5, 3.5)
        for height in rows:
            ends = [where for where in hanging if where.top() - STEM == height]
            end = max(where.center().x() for where in ends)
            painter.drawLine(QPointF(trunk, height), QPointF(end, height))
            for where in ends:
                x = where.center().x()
                painter.drawLine(QPointF(x, height), QPointF(x, where.top()))

    def _joints(self, painter: QPainter, layout: Layout, lit: str) -> None:
        """A line joins the places of a container that is on several networks."""
        places: dict[str, list[QRect]] = {}
        for spot in layout.spots:
            if spot.attachment is not None and _container_id(spot) in layout.joined:
                places.setdefault(_container_id(spot), []).append(spot.where)
        for container, rects in places.items():
            color = self._color("accent" if container == lit else "paused")
            painter.setPen(QPen(color, 2.4 if container == lit else 1.6))
            painter.setBrush(color)
            for above, below in pairwise(rects):
                self._joint(painter, above, below)

    def _joint(self, painter: QPainter, above: QRect, below: QRect) -> None:
        """Out to the gap beside the column, down in it, and in again."""
        gutter = max(above.right(), below.right()) + GAP / 2
        start = QPointF(above.right(), above.center().y() + 8)
        end = QPointF(below.right(), below.center().y() - 8)
        corners = [start, QPointF(gutter, start.y()), QPointF(gutter, end.y()), end]
        painter.drawPolyline(corners)
        for place in (start, end):
            painter.drawEllipse(place, 2, 2)

    def _spot(self, painter: QPainter, spot: Spot, lit: bool) -> None:
        if spot.part is Part.NETWORK:
            self._network(painter, spot, lit)
        elif spot.part is Part.MORE:
            self._box(painter, spot.where, lit)
            painter.setPen(self._color("accent"))
            painter.drawText(spot.where, int(Qt.AlignmentFlag.AlignCenter), self.more_text(spot))
        else:
            self._container(painter, spot, lit)

    def _network(self, painter: QPainter, spot: Spot, lit: bool) -> None:
        where, network = spot.where, spot.network
        if lit:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._color("raised"))
            painter.drawRoundedRect(QRectF(where), RADIUS, RADIUS)
        icons.paint(
            painter,
            "network",
            self._color("accent"),
            QRectF(where.left() + 8, where.top() + 8, 16, 16),
        )
        bold = QFont(painter.font())
        bold.setWeight(QFont.Weight.DemiBold)
        line = QRect(where.left() + 32, where.top() + 6, where.width() - 36, 20)
        self._text(painter, line, network.name, bold, "text")
        subnet = subnet_text(network) if network.subnets else ""
        if where.height() < 50:
            facts = filter(None, (subnet, network.driver, kind_text(network), tr("no containers")))
            rest = QRect(NAME_WIDTH, line.top(), 600, line.height())
            self._text(painter, rest, " · ".join(facts), _small(painter.font()), "secondary")
            return
        if len(network.subnets) > 1:
            subnet = f"{network.subnets[0]} +{len(network.subnets) - 1}"
        below = line.adjusted(0, 22, 0, 18)
        self._text(painter, below, subnet or network.driver, monospace(), "secondary")
        kind = " · ".join(filter(None, (network.driver if subnet else "", kind_text(network))))
        self._text(painter, below.adjusted(0, 18, 0, 18), kind, _small(painter.font()), "secondary")

    def _container(self, painter: QPainter, spot: Spot, lit: bool) -> None:
        assert spot.attachment is not None
        where, one = spot.where, spot.attachment
        self._box(painter, where, lit)
        row = self._app.stores.containers.rows.get(one.container_id)
        center = QPointF(where.left() + 18, where.top() + 15)
        draw_dot(painter, center, state_dot(row) if row else "exited", self._app.theme)
        bold = QFont(painter.font())
        bold.setWeight(QFont.Weight.DemiBold)
        line = QRect(where.left() + 32, where.top() + 4, where.width() - 40, 20)
        self._text(painter, line, one.container, bold, "text")
        below = line.adjusted(0, 18, 0, 18)
        self._text(painter, below, one.address or tr("no address"), monospace(), "secondary")

    def _box(self, painter: QPainter, where: QRect, lit: bool) -> None:
        painter.setPen(QPen(self._color("accent" if lit else "line"), 1))
        painter.setBrush(self._color("raised" if lit else "window"))
        painter.drawRoundedRect(QRectF(where).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)

    def _ring(self, painter: QPainter, where: QRect) -> None:
        painter.setPen(QPen(self._color("accent"), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(where).adjusted(-2, -2, 2, 2), RADIUS + 2, RADIUS + 2)

    def _text(self, painter: QPainter, where: QRect, text: str, font: QFont, color: str) -> None:
        shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideMiddle, where.width())
        before = painter.font()
        painter.setFont(font)
        painter.setPen(self._color(color))
        painter.drawText(where, int(Qt.AlignmentFlag.AlignVCenter), shown)
        painter.setFont(before)


def _container_id(spot: Spot | None) -> str:
    return spot.attachment.container_id if spot is not None and spot.attachment else ""


def _small(font: QFont) -> QFont:
    made = QFont(font)
    made.setPixelSize(12)
    return made
