"""No name of an image, a container or a file is interpreted as markup or as a menu shortcut.

The rules read source text, as `tests/unit/test_architecture.py` does, and each is shown to find a
violation. `tests/gui/test_hostile_names.py` checks the widgets.
"""

import ast
from collections.abc import Iterator

import pytest

from desktop.i18n.text import plain, tip
from tests.unit.desktop.i18n.test_text import called, sources

TRAY = "desktop/tray.py"  # the desktop shows its tooltip, not Qt
LABELS = "desktop/widgets/basics.py"
PLAIN = "setTextFormat(Qt.TextFormat.PlainText)"
RICH = {"setHtml", "insertHtml", "appendHtml", "QTextBrowser", "QMessageBox", "RichText"}
WITH_KEYS = {"addAction", "addMenu", "QCheckBox", "QRadioButton"}
OURS = {"tr", "plural", "plain", "QAction"}  # their texts contain no foreign "&"


def foreign(files: dict[str, str]) -> Iterator[str]:
    """Texts that Qt may interpret as markup or as a shortcut."""
    for path, source in files.items():
        root = ast.parse(source)
        for node in ast.walk(root):
            for complaint in (*_of_call(path, node), *_of_label(path, node), *_of_role(node)):
                yield f"{path}:{getattr(node, 'lineno', 0)}: {complaint}"


def _of_call(path: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in RICH:
            yield f"{name} takes markup"
    if not isinstance(node, ast.Call):
        return
    name = called(node)
    if name == "setToolTip" and path != TRAY and not _calls(node.args[0], {"tip"}):
        yield "a tip without `tip`"
    if name == "showText" and not _calls(node.args[1], {"tip"}):
        yield "a tip without `tip`"
    if name in ("QLabel", "QPushButton") and path != LABELS:
        yield f"a {name} that `widgets/basics.py` did not make"
    if name in WITH_KEYS and not _is_ours(node.args[:1]):
        yield f"{name} of a text without `plain`"


def _of_label(path: str, node: ast.AST) -> Iterator[str]:
    is_label = isinstance(node, ast.ClassDef) and any(
        ast.unparse(base) == "QLabel" for base in node.bases
    )
    if is_label and PLAIN not in ast.unparse(node):
        yield "a kind of QLabel that may take markup"
    is_maker = isinstance(node, ast.FunctionDef) and (path, node.name) == (LABELS, "label")
    if is_maker and PLAIN not in ast.unparse(node):
        yield "a label that may take markup"


def _of_role(node: ast.AST) -> Iterator[str]:
    """Tooltips of a model."""
    if isinstance(node, ast.match_case):
        condition: ast.AST = node.pattern
    elif isinstance(node, ast.If):
        condition = node.test
    else:
        return
    if "ToolTipRole" not in ast.unparse(condition):
        return
    for inner in (inner for line in node.body for inner in ast.walk(line)):
        if isinstance(inner, ast.Return) and inner.value is not None:
            value = inner.value.values[0] if isinstance(inner.value, ast.BoolOp) else inner.value
            if ast.unparse(value) != "None" and not _calls(value, {"tip"}):
                yield "a model's tip without `tip`"


def _calls(value: ast.expr, names: set[str]) -> bool:
    return isinstance(value, ast.Call) and called(value) in names


def _is_ours(given: list[ast.expr]) -> bool:
    """Whether each is a literal, a text of Galley, a text made plain, or an action."""
    return all(
        isinstance(one, ast.Constant)
        or _calls(one, OURS)
        or ast.unparse(one).startswith("self.")  # an action
        for one in given
    )


def test_the_window_shows_foreign_text_as_plain_text() -> None:
    assert list(foreign(sources())) == []


@pytest.mark.parametrize(
    "violation",
    [
        "one.setToolTip(found.name)",
        "one.setToolTip(found.name if found else tip(''))",
        "QToolTip.showText(place, words, self)",
        "one = QLabel(found.name)",
        "one = QPushButton(found.name)",
        "class One(QLabel):\n    pass",
        "menu.addAction(found.name)",
        "menu.addMenu(found.name)",
        "one = QCheckBox(found.name)",
        "one.setHtml(text)",
        "QMessageBox.warning(self, name, name)",
        "one.setTextFormat(Qt.TextFormat.RichText)",
        "match role:\n    case Qt.ItemDataRole.ToolTipRole:\n        return name",
        "def f():\n    if role == Qt.ItemDataRole.ToolTipRole:\n        return name or None",
    ],
)
def test_each_violation_is_found(violation: str) -> None:
    clean = "one.setToolTip(tip(name))\nmenu.addAction(plain(name))\nQCheckBox(tr('x'))"
    assert list(foreign({"desktop/new.py": clean})) == []
    assert list(foreign({"desktop/new.py": violation}))


def test_a_tip_is_escaped_where_qt_would_interpret_it_as_markup() -> None:
    assert tip("nginx:1.27 & more\nlines") == "nginx:1.27 & more\nlines"
    for name in ("<img src=/tmp/x>n", "a &lt;b&gt;"):
        assert tip(name).removeprefix("<p style='white-space:pre-wrap'>").count("<") == 1  # </p>
    assert plain("R&D & more") == "R&&D && more"
