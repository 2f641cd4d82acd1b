"""Every text of the window can be translated, and German has a translation of each.

The rules read source text, as `tests/unit/test_architecture.py` does, and each is shown to find a
violation.
"""

import ast
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import QCoreApplication, QLocale

from desktop.i18n import text
from tests.texts import update

ROOT = Path(__file__).parents[4]
# Calls whose first argument is shown to the user, if it is a literal.
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
PLACEHOLDER = re.compile(r"%n|\{[^}]*\}")
OTHERS = [code for code in text.languages() if code != "en"]


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
                for source_text in filter(None, map(literal, node.args[:1])):
                    found[source_text] = f"{path}:{node.lineno}"
    return found


def untranslated(files: dict[str, str]) -> Iterator[str]:
    """Texts that are shown without going through `tr`."""
    for path, source in files.items():
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call) or called(node) not in SHOWING:
                continue
            for source_text in filter(None, map(literal, node.args[:1])):
                if re.search(r"[A-Za-z]{2}", source_text) and source_text not in NAMES:
                    yield f"{path}:{node.lineno}: {source_text!r}"


def unmarkable(files: dict[str, str]) -> Iterator[str]:
    """Calls of `tr` whose text lupdate cannot find in the source."""
    for path, source in files.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and called(node) in ("tr", "plural") and node.args:
                given = node.args[0]
                if isinstance(given, ast.JoinedStr | ast.BinOp):
                    yield f"{path}:{node.lineno}: {ast.unparse(given)}"
            if isinstance(node, ast.JoinedStr):
                inner = (one for one in ast.walk(node) if isinstance(one, ast.Call))
                for call in inner:
                    if called(call) in ("tr", "plural") and call.args and literal(call.args[0]):
                        yield f"{path}:{node.lineno}: {ast.unparse(call)} in an f-string"


class Entry(NamedTuple):
    """A message of a language. `forms`: one, or those of a plural."""

    context: str
    source: str
    one: str  # the English singular of a plural
    forms: tuple[str, ...]
    is_finished: bool


def entries(file: Path) -> list[Entry]:
    found = []
    for context in ElementTree.parse(file).getroot().iterfind("context"):
        for message in context.iterfind("message"):
            translation = message.find("translation")
            assert translation is not None
            forms = [form.text or "" for form in translation.iterfind("numerusform")] or [
                translation.text or ""
            ]
            entry = Entry(
                context=context.findtext("name") or "",
                source=message.findtext("source") or "",
                one=message.findtext("comment") or "",
                forms=tuple(forms),
                is_finished=translation.get("type") is None,
            )
            found.append(entry)
    return found


def test_no_shown_text_bypasses_tr() -> None:
    assert not list(untranslated(sources()))


def test_lupdate_can_find_the_text_of_every_call() -> None:
    assert not list(unmarkable(sources()))


def test_each_rule_finds_a_violation() -> None:
    assert list(untranslated({"x.py": "button('Delete', f)"}))
    assert list(unmarkable({"x.py": "tr(f'Delete {name}')"}))
    assert list(unmarkable({"x.py": "f'{x}: {tr(\"under way\")}'"}))
    assert not list(unmarkable({"x.py": "f'{tr(title)}'"}))
    assert not list(untranslated({"x.py": "button(tr('Delete'), f)"}))


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_is_up_to_date(code: str, tmp_path: Path) -> None:
    """It has every text and no other, and is compiled. To update: ./dev texts, then translate."""
    kept = text.FOLDER / f"{code}.ts"
    made = tmp_path / kept.name
    made.write_bytes(kept.read_bytes())
    update(made)
    assert [one.source for one in entries(made) if not (one.is_finished and all(one.forms))] == []
    assert made.read_text() == kept.read_text()
    assert made.with_suffix(".qm").read_bytes() == kept.with_suffix(".qm").read_bytes()


@pytest.mark.parametrize("code", OTHERS)
def test_lupdate_finds_every_text(code: str) -> None:
    found = {one.source for one in entries(text.FOLDER / f"{code}.ts") if not one.context}
    lacking = [
        f"{where}: {source_text}"
        for source_text, where in marked(sources()).items()
        if source_text not in found
    ]
    assert not lacking, "\n".join(lacking)


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_keeps_the_placeholders(code: str) -> None:
    for one in entries(text.FOLDER / f"{code}.ts"):
        *fewer, most = one.forms
        assert set(PLACEHOLDER.findall(one.source)) == set(PLACEHOLDER.findall(most)), one.source
        known = set(PLACEHOLDER.findall(one.source + one.one))
        assert all(set(PLACEHOLDER.findall(form)) <= known for form in fewer), one.source


def test_there_is_a_german_translation() -> None:
    assert "de" in text.languages()
    assert text.translator("en") is None


@pytest.mark.parametrize(
    ("n", "english", "german"),
    [
        (0, "0 of 0 containers", "0 von 0 Containern"),
        (1, "1 of 1 container", "1 von 1 Container"),
        (2, "2 of 2 containers", "2 von 2 Containern"),
    ],
)
def test_a_plural_has_the_form_of_its_language(
    qapp: QCoreApplication, n: int, english: str, german: str
) -> None:
    assert text.plural("{up} of %n containers", "{up} of %n container", n, up=n) == english
    language = text.translator("de")
    assert language is not None
    qapp.installTranslator(language)
    try:
        assert text.plural("{up} of %n containers", "{up} of %n container", n, up=n) == german
    finally:
        qapp.removeTranslator(language)


def test_a_text_without_a_translation_stays_english(qapp: QCoreApplication) -> None:
    language = text.translator("de")
    assert language is not None
    qapp.installTranslator(language)
    try:
        assert text.tr("Delete") == "Löschen"
        assert text.tr("No such {text}", text="x") == "No such x"
        assert text.plural("%n odd ones", "the odd {name}", 1, name="x") == "the odd x"
    finally:
        qapp.removeTranslator(language)


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
def test_a_date_is_formatted_for_the_locale(country: str, written: str) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale(country))
    try:
        assert text.moment(datetime(2026, 11, 29, 13, 55).timestamp()) == written
    finally:
        QLocale.setDefault(before)


def test_foreign_markup_is_escaped_in_a_tooltip() -> None:
    assert text.tip("nginx:1.27 & more") == "nginx:1.27 & more"
    assert "<img" not in text.tip("RUN <img src='//elsewhere/x'>")


def test_integers_are_formatted_like_floats() -> None:
    assert (text.size(0), text.percent(0), text.seconds(0)) == ("0 B", "0.0 %", "0.0 s")
