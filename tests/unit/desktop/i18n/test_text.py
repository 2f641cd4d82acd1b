"""No text of the window is out of a translator's reach, and German has all of them.

The rules read source text, as `tests/unit/test_architecture.py` does, and each is shown to find its
fault.
"""

import ast
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale

from desktop.i18n import text
from engine.diagnose.run import CHECKS
from engine.settings.schema import schema
from engine.settings.setting import HostSize, Topic

ROOT = Path(__file__).parents[4]
# Calls whose first texts a person reads; everything else gets its text from a variable.
SHOWING = {
    "setText", "setToolTip", "setWindowTitle", "setPlaceholderText", "setAccessibleName",
    "setAccessibleDescription", "addAction", "addItem", "addMenu", "setLabel", "setTitle",
    "QLabel", "QPushButton", "QCheckBox", "QAction", "QGroupBox", "label", "button", "chip", "tip",
    "plain",
}  # fmt: skip
NAMES = {
    "Galley",
    "Dockerfile",
    "daemon.json",
    "docker run",
    "Ctrl+K",
}  # the same in every language
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def sources() -> dict[str, str]:
    files = sorted((ROOT / "desktop").rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in files}


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def marked(files: dict[str, str]) -> dict[str, str]:
    """Every text that goes through `tr` or `plural`, and where."""
    found = {}
    for path, source in files.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and called(node) in ("tr", "plural"):
                places = node.args[:1] if called(node) == "tr" else node.args[1:3]
                for said in filter(None, map(literal, places)):
                    found[said] = f"{path}:{node.lineno}"
    return found


def bare(files: dict[str, str]) -> Iterator[str]:
    """Texts that are shown without going through `tr`."""
    for path, source in files.items():
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call) or called(node) not in SHOWING:
                continue
            for said in filter(None, map(literal, node.args[:1])):
                if re.search(r"[A-Za-z]{2}", said) and said not in NAMES:
                    yield f"{path}:{node.lineno}: {said!r}"


def unmarkable(files: dict[str, str]) -> Iterator[str]:
    """`tr` of something that no tool can find in the source."""
    for path, source in files.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and called(node) == "tr" and node.args:
                given = node.args[0]
                if isinstance(given, ast.JoinedStr | ast.BinOp):
                    yield f"{path}:{node.lineno}: {ast.unparse(given)}"


def wanted() -> dict[str, str]:
    """What a language must have: the window's own texts, those of settings and of checks."""
    found = marked(sources())
    for setting in schema(HostSize(cpus=4, memory=8 * 1024**3)):
        for said in (setting.label, setting.help, setting.needs_restart):
            if said:
                found[said] = f"engine/settings/schema.py: {setting.name}"
    found |= {topic.value: "engine/settings/setting.py" for topic in Topic}
    found |= {check.title: "engine/diagnose" for check in CHECKS}
    return found


def test_no_text_is_bare() -> None:
    assert not list(bare(sources()))


def test_every_text_can_be_found() -> None:
    assert not list(unmarkable(sources()))


def test_a_bare_text_would_be_found() -> None:
    assert list(bare({"x.py": "button('Delete', f)"}))
    assert list(unmarkable({"x.py": "tr(f'Delete {name}')"}))
    assert not list(bare({"x.py": "button(tr('Delete'), f)"}))


@pytest.mark.parametrize("code", [code for code in text.languages() if code != "en"])
def test_a_language_has_every_text_and_no_other(code: str) -> None:
    known, needed = text.read_language(code), wanted()
    missing = [f"{where}: {said}" for said, where in needed.items() if said not in known]
    assert not missing, "\n".join(missing)
    assert not sorted(set(known) - set(needed)), "texts that nothing shows any more"


@pytest.mark.parametrize("code", [code for code in text.languages() if code != "en"])
def test_a_language_keeps_what_is_filled_in(code: str) -> None:
    for source, said in text.read_language(code).items():
        assert set(PLACEHOLDER.findall(source)) == set(PLACEHOLDER.findall(said)), source


def test_there_is_german() -> None:
    assert "de" in text.languages()


def test_a_text_that_a_language_lacks_stays_as_it_is() -> None:
    language = text.Language({"Delete": "Löschen"})
    assert language.translate("galley", "Delete") == "Löschen"
    assert language.translate("QShortcut", "Ctrl") is None  # "" would take the key from its name


def test_sizes_and_ages_are_short() -> None:
    assert [text.size(n) for n in (0, 999, 1536, 5 << 20, 5 << 30)] == [
        "0 B", "999 B", "1.5 KiB", "5.0 MiB", "5.0 GiB",
    ]  # fmt: skip
    assert [text.age(1000.0, 1000.0 + passed) for passed in (5, 120, 7200, 3 * 86400)] == [
        "5 s", "2 min", "2 h", "3 d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("country", "written"),
    [("C", "2026-11-29 13:55"), ("de_DE", "29.11.26 13:55"), ("en_GB", "29/11/2026 13:55")],
)
def test_a_date_is_as_it_is_written_here(country: str, written: str) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale(country))
    try:
        assert text.moment(datetime(2026, 11, 29, 13, 55).timestamp()) == written
    finally:
        QLocale.setDefault(before)


def test_markup_of_others_is_no_markup_in_a_tooltip() -> None:
    assert text.tip("nginx:1.27 & more") == "nginx:1.27 & more"
    assert "<img" not in text.tip("RUN <img src='//elsewhere/x'>")


def test_whole_numbers_are_numbers() -> None:
    assert (text.size(0), text.percent(0), text.seconds(0)) == ("0 B", "0.0 %", "0.0 s")
