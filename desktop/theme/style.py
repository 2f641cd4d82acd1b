"""The one style sheet, made of the tokens. Next: `theme.py`, which sets it.

Rules select widgets by object names and by the property `kind` (`desktop/widgets/basics.py`).
"""

from pathlib import Path

from desktop.theme.tokens import RADIUS, Tokens

ICONS = Path(__file__).parents[2] / "assets" / "icons"


def style_sheet(t: Tokens) -> str:
    """Every rule there is."""
    return _frame(t) + _buttons(t) + _fields(t) + _boxes(t) + _rest(t)


def _arrow(t: Tokens) -> str:
    """The file of the arrow in a drop-down list: a style sheet takes pictures from files only."""
    return (ICONS / f"drop-{t.name}.svg").as_posix()


def _tick(t: Tokens) -> str:
    """The file of the mark in a checked box."""
    return (ICONS / f"tick-{t.name}.svg").as_posix()


def _frame(t: Tokens) -> str:
    """The window's edges and its text."""
    return f"""
QWidget {{ color: {t.text}; }}
QMainWindow, QDialog {{ background: {t.window}; }}
QDialog[kind="palette"] {{ border: 1px solid {t.line}; border-radius: {RADIUS}px; }}
QToolTip {{ background: {t.surface}; color: {t.text}; border: 1px solid {t.line}; padding: 4px; }}

#sidebar {{ background: {t.surface}; border-right: 1px solid {t.line}; }}
#statusbar {{ background: {t.surface}; border-top: 1px solid {t.line}; }}
#statusbar QLabel, #statusbar QPushButton {{ font-size: 12px; color: {t.secondary}; }}
#brand {{ font-size: 15px; font-weight: 600; }}
QLabel[kind="title"] {{ font-size: 20px; font-weight: 600; }}
QLabel[kind="heading"] {{ font-weight: 600; }}
QLabel[kind="secondary"] {{ color: {t.secondary}; font-size: 12px; }}
QLabel[kind="error"] {{ color: {t.error}; }}
QLabel[kind="running"] {{ color: {t.running}; }}
QLabel[kind="paused"] {{ color: {t.paused}; }}
QLabel[kind="exited"] {{ color: {t.exited}; }}
QLabel[kind="mono"] {{ font-family: monospace; font-size: 12px; }}
QLabel[kind="chip"] {{ background: {t.raised}; border-radius: 4px; padding: 3px 8px;
    font-size: 12px; }}
"""


def _buttons(t: Tokens) -> str:
    """Buttons of every kind."""
    return f"""
QPushButton {{ background: {t.surface}; border: 1px solid {t.line}; border-radius: {RADIUS}px;
    padding: 5px 12px; min-height: 20px; }}
QPushButton:hover {{ background: {t.raised}; }}
QPushButton[ring="true"] {{ border: 1px solid {t.accent}; outline: none; }}
QPushButton:disabled {{ color: {t.exited}; background: {t.window}; }}
QPushButton[kind="primary"] {{ background: {t.accent}; color: {t.on_accent};
    border-color: {t.accent}; font-weight: 600; }}
QPushButton[kind="primary"][ring="true"] {{ border: 2px solid {t.text}; padding: 4px 11px; }}
QPushButton[kind="primary"]:disabled {{ background: {t.track}; color: {t.exited};
    border-color: {t.track}; }}
QPushButton[kind="danger"] {{ color: {t.error}; }}
QPushButton[kind="link"] {{ border: 1px solid transparent; background: transparent;
    color: {t.accent}; padding: 2px 4px; min-height: 0; text-align: left; }}
QPushButton[kind="link"][ring="true"] {{ border: 1px solid {t.accent}; border-radius: 4px; }}
QPushButton[kind="link"]:disabled {{ color: {t.exited}; }}
QPushButton[kind="flat"] {{ border: 1px solid transparent; background: transparent;
    padding: 4px 8px; }}
QPushButton[kind="flat"]:hover {{ background: {t.raised}; }}
QPushButton[kind="flat"]:checked {{ background: {t.selection}; color: {t.accent}; }}
QPushButton[kind="flat"][ring="true"] {{ border: 1px solid {t.accent}; }}
QPushButton[kind="nav"] {{ border: 1px solid transparent; background: transparent;
    text-align: left; padding: 6px 10px; color: {t.secondary}; }}
QPushButton[kind="nav"]:hover {{ background: {t.raised}; }}
QPushButton[kind="nav"]:checked {{ background: {t.selection}; color: {t.accent};
    font-weight: 600; }}
QPushButton[kind="nav"][ring="true"] {{ border: 1px solid {t.accent}; }}
QPushButton[kind="switcher"] {{ background: {t.raised}; border: 1px solid transparent;
    padding: 5px; }}
QPushButton[kind="switcher"]:hover {{ border: 1px solid {t.line}; }}
QPushButton[kind="switcher"][ring="true"] {{ border: 1px solid {t.accent}; }}
QPushButton[kind="tab"] {{ border: none; border-bottom: 2px solid transparent; border-radius: 0;
    background: transparent; padding: 8px 2px; color: {t.secondary}; }}
QPushButton[kind="tab"]:hover {{ color: {t.text}; }}
QPushButton[kind="tab"]:checked {{ color: {t.accent}; border-bottom: 2px solid {t.accent};
    font-weight: 600; }}
QPushButton[kind="tab"][ring="true"] {{ color: {t.text}; background: {t.raised}; }}
QPushButton::menu-indicator {{ image: none; width: 0; }}
"""


def _fields(t: Tokens) -> str:
    """What can be typed into."""
    return f"""
QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox, QComboBox {{
    background: {t.surface}; border: 1px solid {t.edge}; border-radius: {RADIUS}px;
    padding: 4px 8px; placeholder-text-color: {t.secondary}; selection-background-color: {t.accent};
    selection-color: {t.on_accent}; }}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {{ min-height: 22px; }}
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus,
QComboBox:editable:focus, QComboBox[ring="true"] {{ border: 1px solid {t.accent}; }}
QLineEdit:disabled, QComboBox:disabled, QSpinBox:disabled {{ color: {t.exited};
    background: {t.window}; }}
QLineEdit[wrong="true"], QPlainTextEdit[wrong="true"] {{ border: 1px solid {t.error}; }}
QComboBox::drop-down {{ border: none; width: 20px; }}
QComboBox::down-arrow {{ image: url({_arrow(t)}); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{ background: {t.surface}; border: 1px solid {t.line};
    selection-background-color: {t.selection}; selection-color: {t.text}; }}
"""


def _boxes(t: Tokens) -> str:
    """Cards, lists and tables."""
    return f"""
QFrame[kind="card"] {{ background: {t.surface}; border: 1px solid {t.line};
    border-radius: {RADIUS}px; }}
QAbstractScrollArea[kind="card"][ring="true"] {{ border: 1px solid {t.accent}; }}
QFrame[kind="line"] {{ background: {t.line}; border: none; max-height: 1px; min-height: 1px; }}
QFrame[kind="toast"] {{ background: {t.surface}; border: 1px solid {t.line};
    border-radius: {RADIUS + 2}px; }}
QFrame[kind="banner"] {{ background: {t.raised}; border: none; border-radius: {RADIUS}px; }}

QTreeView, QListView, QTableView {{ background: {t.surface}; border: 1px solid {t.line};
    border-radius: {RADIUS}px; outline: none; selection-background-color: {t.selection};
    selection-color: {t.text}; }}
QTreeView[ring="true"], QListView[ring="true"], QTableView[ring="true"] {{
    border: 1px solid {t.accent}; }}
QTreeView::item {{ border: none; }}
QTreeView::item:selected {{ background: {t.selection}; color: {t.text}; }}
#files::item {{ padding: 0 8px; }}
QTreeView[kind="plain"] {{ show-decoration-selected: 1; }}
QTreeView[kind="plain"]::item {{ height: 30px; padding: 0 6px; border: none; }}
QTreeView[kind="plain"]::item:hover {{ background: {t.raised}; }}
QTreeView[kind="plain"]::item:selected {{ background: {t.selection}; color: {t.text}; }}
QTreeView[kind="padded"]::item {{ padding: 4px 8px; }}
QTreeView[kind="plain"] QHeaderView::section, #files QHeaderView::section {{ padding: 6px 8px; }}
QTreeView[kind="plain"] QHeaderView::section:first, #files QHeaderView::section:first {{
    padding-left: 14px; }}
QListView#suggestions {{ border: 1px solid {t.edge}; }}
QListView[kind="commands"]::item {{ padding: 5px 8px; }}
QListView[kind="commands"]::item:selected {{ background: {t.selection}; color: {t.text}; }}
QTreeView[kind="padded"] QHeaderView::section {{ padding: 6px 20px 6px 11px; }}
QHeaderView {{ background: transparent; border: none; }}
QHeaderView::section {{ background: {t.surface}; color: {t.secondary}; border: none;
    border-bottom: 1px solid {t.line}; padding: 0 8px; font-size: 12px; }}
QHeaderView::section:first {{ border-top-left-radius: {RADIUS}px; padding-left: 14px; }}
QHeaderView::section:last {{ border-top-right-radius: {RADIUS}px; }}
"""


def _rest(t: Tokens) -> str:
    """Menus, bars and what scrolls."""
    return f"""
QMenu {{ background: {t.surface}; border: 1px solid {t.line}; border-radius: {RADIUS}px;
    padding: 4px; }}
QMenu::item {{ padding: 6px 24px 6px 12px; border-radius: 4px; }}
QMenu::item:selected {{ background: {t.selection}; }}
QMenu::item:disabled {{ color: {t.exited}; }}
QMenu::separator {{ height: 1px; background: {t.line}; margin: 4px; }}

QProgressBar {{ background: {t.track}; border: none; border-radius: 3px; max-height: 6px;
    min-height: 6px; }}
QProgressBar::chunk {{ background: {t.accent}; border-radius: 3px; }}
QCheckBox {{ spacing: 8px; }}
QCheckBox[ring="true"] {{ color: {t.accent}; }}
QCheckBox:disabled {{ color: {t.exited}; }}
QCheckBox::indicator {{ width: 14px; height: 14px; background: {t.surface};
    border: 1px solid {t.exited}; border-radius: 4px; }}
QCheckBox::indicator:checked {{ background: {t.accent}; border-color: {t.accent};
    image: url({_tick(t)}); }}
QCheckBox::indicator[ring="true"] {{ border: 1px solid {t.text}; }}
QCheckBox::indicator:disabled {{ background: {t.track}; border-color: {t.line}; }}
QRadioButton {{ spacing: 8px; }}
QRadioButton[ring="true"] {{ color: {t.accent}; }}
QRadioButton::indicator {{ width: 14px; height: 14px; background: {t.surface};
    border: 1px solid {t.exited}; border-radius: 8px; }}
QRadioButton::indicator:checked {{ width: 6px; height: 6px; border: 5px solid {t.accent}; }}
QSlider {{ min-height: 22px; }}
QSlider::groove:horizontal {{ background: {t.track}; height: 4px; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {t.accent}; height: 4px; border-radius: 2px; }}
QSlider::handle:horizontal {{ background: {t.surface}; border: 2px solid {t.accent}; width: 12px;
    height: 12px; margin: -6px 0; border-radius: 8px; }}
QSlider::handle:horizontal[ring="true"] {{ background: {t.accent}; border-color: {t.text}; }}
QScrollArea {{ background: transparent; border: none; }}
QScrollArea > QWidget > QWidget {{ background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
QScrollBar::handle {{ background: {t.line}; border-radius: 3px; min-height: 24px;
    min-width: 24px; }}
QScrollBar::handle:hover {{ background: {t.exited}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QSplitter::handle {{ background: transparent; }}
"""
