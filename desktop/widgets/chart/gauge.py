"""How much of something is used: a name, the figures, a bar, a sentence."""

from PySide6.QtWidgets import QFrame, QProgressBar, QWidget

from desktop.widgets.basics import column, label, row

FINE = 1000  # steps of the bar
LEAST = 8


class Gauge(QFrame):
    """A card. `foot`: what stands at the right of the sentence."""

    def __init__(self, title: str, foot: QWidget | None = None) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.title = title
        self.figures = label("", "mono")
        self.bar = QProgressBar(textVisible=False, maximum=FINE)
        self.bar.setAccessibleName(title)
        self.words = label("", "secondary", wrap=True)
        lower = row(self.words, foot, gap=8)
        lower.setStretch(0, 1)
        upper = row(label(title, "heading"), 1, self.figures)
        self.box = column(upper, self.bar, lower, gap=10)
        whole = column(self.box, 1)  # beside a taller one, it begins where that does
        whole.setContentsMargins(16, 14, 16, 14)
        self.setLayout(whole)

    def say(self, figures: str, share: float | None, words: str) -> None:
        """`share`: how full the bar is; None where no end is known, and there is no bar."""
        self.figures.setText(figures)
        self.figures.setVisible(bool(figures))
        self.bar.setVisible(share is not None)
        if share is not None:
            # Something is not nothing: the least of it can be seen.
            self.bar.setValue(max(LEAST, min(FINE, round(FINE * share))) if share > 0 else 0)
        self.bar.setAccessibleDescription(figures)
        self.words.setText(words)
