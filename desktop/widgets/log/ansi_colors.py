"""The colours of program output, legible in both schemes.

The sixteen named colours are Galley's own for each scheme; all others (256 and true colours) are
kept as far as they are legible on their background.
"""

from PySide6.QtGui import QColor, QFont, QTextCharFormat

from desktop.theme.theme import Theme
from desktop.widgets.log.ansi import DEFAULT, TRUE, Style

READABLE = 4.5  # WCAG's contrast of text
NAMED = {
    "light": (
        "#1B2430", "#C62828", "#16753B", "#855600", "#0B5CB0", "#8E3A9E", "#0A6B7C", "#5A6472",
        "#6A7380", "#D32F2F", "#1B7F43", "#8F5F00", "#1A6FCC", "#A23CB4", "#0B7285", "#3A4452",
    ),
    "dark": (
        "#8490A0", "#F28B82", "#53C27C", "#E3A94B", "#5AA9F7", "#D39BE8", "#5CC8D8", "#C6CED8",
        "#98A2AF", "#FFA8A0", "#7FE0A2", "#F5C878", "#8CC4FF", "#E5BBF5", "#8AE2EE", "#FFFFFF",
    ),
}  # fmt: skip
STEPS = (0, 95, 135, 175, 215, 255)  # of the 256 colours' cube


class AnsiColors:
    """Formats by style, made once for each scheme."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._pairs: dict[Style, tuple[QColor, QColor | None]] = {}
        self._formats: dict[Style, QTextCharFormat] = {}

    def forget(self) -> None:
        """The scheme has changed."""
        self._pairs.clear()
        self._formats.clear()

    def pair(self, style: Style) -> tuple[QColor, QColor | None]:
        """The colours of the text and of its background, where that is not the view's."""
        if style not in self._pairs:
            self._pairs[style] = self._make_pair(style)
        return self._pairs[style]

    def format(self, style: Style) -> QTextCharFormat:
        if style not in self._formats:
            made = QTextCharFormat()
            text, behind = self.pair(style)
            made.setForeground(text)
            if behind is not None:
                made.setBackground(behind)
            if style.bold:
                made.setFontWeight(QFont.Weight.Bold)
            made.setFontItalic(style.italic)
            made.setFontUnderline(style.underline)
            made.setFontStrikeOut(style.strike)
            self._formats[style] = made
        return self._formats[style]

    def _make_pair(self, style: Style) -> tuple[QColor, QColor | None]:
        text = self._color(style.foreground, "text")
        behind = self._color(style.background, "surface")
        if style.faint:
            text = mixed(text, behind, 0.35)
        if style.reverse:
            text, behind = behind, text
        own = style.background == DEFAULT and not style.reverse
        return legible(text, behind), None if own else behind

    def _color(self, number: int, token: str) -> QColor:
        if number == DEFAULT:
            return self._theme.color(token)
        if number >= TRUE:
            return QColor.fromRgb(number & 0xFFFFFF)
        if number < 16:
            return QColor(NAMED[self._theme.tokens.name][number])
        if number < 232:
            number -= 16
            return QColor(STEPS[number // 36], STEPS[number // 6 % 6], STEPS[number % 6])
        return QColor(*[8 + 10 * (number - 232)] * 3)


def legible(text: QColor, behind: QColor) -> QColor:
    """`text`, or the nearest to it that can be read."""
    if contrast(text, behind) >= READABLE:
        return text
    black, white = QColor("#000000"), QColor("#FFFFFF")
    goal = max(black, white, key=lambda color: contrast(color, behind))
    for tenth in range(1, 10):
        nearer = mixed(text, goal, tenth / 10)
        if contrast(nearer, behind) >= READABLE:
            return nearer
    return goal


def mixed(one: QColor, other: QColor, share: float) -> QColor:
    """`one` with a share of `other`."""
    pairs = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)  # type: ignore[index]
    return QColor(*(round(a + (b - a) * share) for a, b in pairs))


def contrast(one: QColor, other: QColor) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: QColor) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(part) for part in (color.redF(), color.greenF(), color.blueF()))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
