"""What `vm` and `engine` say to people is said in the window's language, with its values kept.

The sentences are found in the source: an f-string in an error becomes a template with {0}, {1}.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from desktop.i18n import text
from desktop.i18n.engine_words import Words, engine_says, told
from desktop.theme.theme import Theme
from desktop.widgets.problem_card import ProblemCard
from vm.errors import Problem

ROOT = Path(__file__).parents[4]
# The command line speaks English, and the guest image is built by a tool of its own.
UNSEEN = ("engine/cli/", "engine/guest/")
PLACEHOLDER = re.compile(r"\{\d+\}")
# Calls that hand on a part of a sentence, and which argument it is.
HANDING_ON = {
    "Problem": (1, 2), "find_tool": (1,), "damaged": (2,), "did_not_come_up": (1,), "Step": (3,),
    "Accelerator": (1,), "progress": (0,),
}  # fmt: skip
# Functions that return sentences or parts of them, and constants that hold them.
SAYING = {
    "engine/docker/errors.py": ("_HINTS",),
    "engine/settings/setting.py": ("allowed",),
    "vm/backends/qemu/start.py": ("lines",),
    "vm/backends/qemu/accel.py": ("boots", "why_missing"),
    "vm/backends/qemu/program.py": ("INSTALL", "hint"),
    "vm/host/net.py": ("holder",),
}

type Names = dict[str, list[ast.expr]]
type Files = dict[str, str]


def sources() -> Files:
    files = sorted(path for part in ("vm", "engine") for path in (ROOT / part).rglob("*.py"))
    named = {path.relative_to(ROOT).as_posix(): path.read_text() for path in files}
    return {name: said for name, said in named.items() if not name.startswith(UNSEEN)}


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def errors(trees: dict[str, ast.Module]) -> set[str]:
    """The names of GalleyError and of every class below it, wherever it is."""
    classes = [
        (node.name, {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases})
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    found = {"GalleyError"}
    while more := {name for name, bases in classes if bases & found} - found:
        found |= more
    return found


def known(tree: ast.Module) -> Names:
    """What the names of a module stand for: values of variables, what functions return."""
    found: Names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.FunctionDef):
            given = (one.value for one in ast.walk(node) if isinstance(one, ast.Return))
            found.setdefault(f"{node.name}()", []).extend(filter(None, given))
    return found


def choices(node: ast.expr, names: Names) -> list[ast.expr]:
    """The expressions that `node` may be."""
    match node:
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.BoolOp():
            return node.values
        case ast.Dict():
            return node.values
        case ast.List():
            return node.elts
        case ast.Call(func=ast.Attribute(value=said, attr="get"), args=[_, otherwise]):
            return [said, otherwise]
        case ast.Tuple(elts=[ast.Tuple(), *_]):
            return node.elts
        case ast.Tuple(elts=[_, said]):
            return [said]
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return names.get(name, [])
        case ast.Call(func=ast.Name(id=name)):
            return names.get(f"{name}()", [])
    return []


def templates(node: ast.expr, names: Names) -> Iterator[str]:
    """What an argument can say, and what can be said where it leaves a place."""
    match node:
        case ast.Constant(value=str(said)):
            if " " in said.strip():
                yield from numbered(said)
        case ast.JoinedStr():
            yield from joined(node.values, names)
        case ast.BinOp(op=ast.Add()):
            yield from joined([node.left, node.right], names)
        case _:
            rest = {name: said for name, said in names.items() if said and node not in said}
            for one in choices(node, names):
                yield from templates(one, rest)


def numbered(said: str) -> Iterator[str]:
    """`{}` and `{name}` of a constant that is filled in elsewhere become {0}."""
    yield re.sub(r"\{\w*\}", "{0}", said)


def joined(parts: list[ast.expr], names: Names) -> Iterator[str]:
    said, holes = "", 0
    for part in parts:
        if isinstance(part, ast.Constant):
            said += str(part.value)
        else:
            said, holes = f"{said}{{{holes}}}", holes + 1
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            if isinstance(inner, ast.Name | ast.IfExp | ast.BoolOp):
                yield from templates(inner, names)
    if re.search("[A-Za-z]{2}", PLACEHOLDER.sub("", said)) and " " in said.strip():
        yield said


def arguments(node: ast.Call, kinds: set[str]) -> list[ast.expr]:
    """Summary and hint of an error, or the part of a sentence that is handed on."""
    name = called(node)
    places = (0, 1) if name in kinds else HANDING_ON.get(name, ())
    given = [node.args[place] for place in places if place < len(node.args)]
    spoken = ("summary", "hint") if name in kinds or name == "Problem" else ()
    return given + [word.value for word in node.keywords if word.arg in spoken]


def wanted(files: Files) -> dict[str, str]:
    """Every template, and where it stands."""
    trees = {path: ast.parse(source) for path, source in files.items()}
    kinds = errors(trees)
    found: dict[str, str] = {}
    for path, tree in trees.items():
        names = known(tree)
        for name in SAYING.get(path, ()):
            for value in names.get(f"{name}()") or names[name]:
                found |= dict.fromkeys(templates(value, names), f"{path}: {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for argument in arguments(node, kinds):
                    said = templates(argument, names)
                    found |= dict.fromkeys(said, f"{path}:{node.lineno}")
    return found


OTHERS = [code for code in text.languages() if code != "en"]


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_has_every_sentence_of_the_engine_and_no_other(code: str) -> None:
    there, needed = text.read_templates(code), wanted(sources())
    missing = [f"{where}: {said}" for said, where in needed.items() if said not in there]
    assert not missing, "\n".join(missing)
    assert not sorted(set(there) - set(needed)), "sentences that nothing says any more"


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_keeps_the_places_of_values(code: str) -> None:
    for source, said in text.read_templates(code).items():
        assert sorted(PLACEHOLDER.findall(source)) == sorted(PLACEHOLDER.findall(said)), source


def test_every_way_to_say_something_is_found() -> None:
    source = (
        "HINT = 'Read the manual.'\n"
        "class Odd(GalleyError): pass\n"
        "def why(): return 'It is too late.'\n"
        "raise Odd(f'There is no {x} in {y}.', HINT)\n"
        "raise GalleyError('One two.' if x else 'Three ' 'four.', hint=why(), details='No no.')\n"
        "Problem('Odd', 'It is damaged: ' + x)\n"
    )
    assert set(wanted({"x.py": source})) == {
        "Read the manual.", "It is too late.", "There is no {0} in {1}.", "One two.",
        "Three four.", "It is damaged: {0}",
    }  # fmt: skip


TOLD = {
    "Try again.": "Noch einmal versuchen.",
    "{0} is a folder.": "{0} ist ein Ordner.",
    "There is no {0} in {1}.": "In {1} gibt es kein {0}.",
    "There is no {0}.": "Es gibt kein {0}.",
    "{0} cannot be read: {1}.": "{0} ist nicht lesbar: {1}.",
    "{0} Turn it on.": "{0} Einschalten.",
    "it is missing": "es fehlt",
    "settings.toml{0}: {1}": "In settings.toml{0}: {1}",
}


def german(sentence: str) -> str:
    return Words(TOLD, {"It is off.": "Es ist aus."}).say(sentence)


def test_values_are_kept() -> None:
    assert german("There is no /a b in web.") == "In web gibt es kein /a b."
    assert german("There is no {1}.") == "Es gibt kein {1}."
    assert german("settings.toml: There is no x.") == "In settings.toml: Es gibt kein x."


def test_the_most_specific_sentence_is_taken() -> None:
    assert german("There is no x in y.") == "In y gibt es kein x."  # and not "x in y"


def test_a_part_is_translated_only_where_it_is_one_of_ours() -> None:
    assert german("x cannot be read: it is missing.") == "x ist nicht lesbar: es fehlt."
    assert german("x cannot be read: no such file.") == "x ist nicht lesbar: no such file."
    assert german("It is off. Turn it on.") == "Es ist aus. Einschalten."


def test_sentences_are_translated_one_by_one() -> None:
    said = german("x cannot be read: gone. Something else. Try again.")
    assert said == "x ist nicht lesbar: gone. Something else. Noch einmal versuchen."


def test_what_is_not_known_stays() -> None:
    for said in ("", "Driver failed: no such thing.", "Try again"):
        assert german(said) == said


@pytest.fixture
def in_german(qapp: QCoreApplication) -> Iterator[None]:
    language = text.Language({}, Words(TOLD, {}))
    qapp.installTranslator(language)
    yield
    qapp.removeTranslator(language)


def test_english_is_as_the_engine_says_it(qapp: QCoreApplication) -> None:
    assert engine_says("x is a folder.") == "x is a folder."


@pytest.mark.usefixtures("in_german")
def test_the_installed_language_is_asked() -> None:
    assert engine_says("x is a folder.") == "x ist ein Ordner."
    assert engine_says("It is odd.") == "It is odd."
    assert told(Problem("HostError", "x is a folder.")) == "x ist ein Ordner."
    assert told(Problem("HostError", "x is a folder.", "Try again."), "\n") == (
        "x ist ein Ordner.\nNoch einmal versuchen."
    )


@pytest.mark.usefixtures("in_german")
def test_a_problem_is_shown_in_the_language_and_copied_as_it_came(qapp: QApplication) -> None:
    card = ProblemCard(Theme(qapp), Problem("HostError", "x is a folder.", "Try again.", "errno"))
    shown = {one.text() for one in card.findChildren(QLabel)}
    assert {"x ist ein Ordner.", "Noch einmal versuchen."} <= shown
    button = next(one for one in card.findChildren(QPushButton) if one.text() == "Copy")
    button.click()
    assert QApplication.clipboard().text() == "x is a folder.\nTry again.\nerrno"
