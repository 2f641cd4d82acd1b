"""Messages of `vm` and `engine` are shown in the window's language, with their values."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QLocale
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from desktop.i18n import messages, text
from desktop.theme.theme import Theme
from desktop.widgets.problem_card import ProblemCard
from engine.messages.docker import PATH_IS_FOLDER
from engine.messages.engine import ENGINE_WENT_AWAY
from engine.messages.settings import SETTINGS_BAD_LINE
from vm.errors import EngineRefused, EngineUnreachable, PortInUse, Problem, SettingsError
from vm.messages import Text
from vm.messages.host import PORT_HOLDER_HIDDEN, PORT_IN_USE
from vm.messages.machine import MACHINE_TOO_MUCH_MEMORY


@pytest.fixture
def in_german(qapp: QCoreApplication) -> Iterator[None]:
    before = QLocale()
    language = text.translator("de")
    assert language is not None
    qapp.installTranslator(language)
    QLocale.setDefault(QLocale("de_DE"))
    yield
    QLocale.setDefault(before)
    qapp.removeTranslator(language)


def port_problem(holder: object = "nginx") -> Problem:
    error = PortInUse(PORT_IN_USE, address="127.0.0.1", port=8080, protocol="tcp", holder=holder)
    return error.to_problem()


def test_an_english_message_is_the_engines_own_text(qapp: QCoreApplication) -> None:
    assert messages.told(port_problem(), "\n") == f"{port_problem().summary}\n{port_problem().hint}"


@pytest.mark.usefixtures("in_german")
def test_a_message_is_translated_and_its_values_are_kept() -> None:
    sentence = messages.summary(port_problem())
    assert "nginx" in sentence
    assert "8080" in sentence
    assert sentence != port_problem().summary
    assert messages.hint(port_problem()) != port_problem().hint


@pytest.mark.usefixtures("in_german")
def test_a_text_within_a_message_is_translated() -> None:
    assert "another program" in port_problem(PORT_HOLDER_HIDDEN).summary
    assert "another program" not in messages.summary(port_problem(PORT_HOLDER_HIDDEN))


@pytest.mark.usefixtures("in_german")
def test_an_error_within_a_message_is_translated() -> None:
    inner = EngineRefused(PATH_IS_FOLDER, path="/srv")
    error = SettingsError(SETTINGS_BAD_LINE, where="", problem=inner, used="4", name="cpus")
    assert "/srv ist ein Ordner." in messages.summary(error.to_problem())


@pytest.mark.usefixtures("in_german")
def test_a_size_is_formatted_for_the_locale() -> None:
    sentence = MACHINE_TOO_MUCH_MEMORY.text(wanted=3 << 29, installed=1 << 30)
    assert "1.5 GiB" in sentence.english
    assert "1,5 GiB" in messages.said(sentence)


LOST = {1: "the container a was", 2: "these containers were started again: a, b"}
LOST_IN_GERMAN = {1: "der Container a wieder", 2: "diese Container wieder gestartet waren: a, b"}


def went_away(count: int) -> Problem:
    names = ", ".join("ab"[:count])
    return EngineUnreachable(ENGINE_WENT_AWAY, containers=names, count=count).to_problem()


@pytest.mark.parametrize("count", LOST)
def test_an_english_message_has_a_plural(qapp: QCoreApplication, count: int) -> None:
    assert LOST[count] in went_away(count).summary
    assert messages.summary(went_away(count)) == went_away(count).summary


@pytest.mark.usefixtures("in_german")
@pytest.mark.parametrize("count", LOST_IN_GERMAN)
def test_a_message_has_the_plural_of_its_language(count: int) -> None:
    assert LOST_IN_GERMAN[count] in messages.summary(went_away(count))


@pytest.mark.usefixtures("in_german")
def test_a_message_without_its_number_is_shown_as_received() -> None:
    newer = Problem("Any", "It was lost.", code=ENGINE_WENT_AWAY.code, values={"containers": "a"})
    assert messages.summary(newer) == "It was lost."


@pytest.mark.usefixtures("in_german")
def test_a_code_of_a_newer_supervisor_is_shown_as_received() -> None:
    newer = Problem("Newer", "It is {odd}.", "Ask {it}.", code="newer.code", values={"odd": 1})
    assert messages.told(newer, "\n") == "It is {odd}.\nAsk {it}."


@pytest.mark.usefixtures("in_german")
def test_a_known_code_with_other_values_is_shown_as_received() -> None:
    newer = Problem("PortInUse", "Port 80 is used.", code=PORT_IN_USE.code, values={"what": 80})
    assert messages.summary(newer) == "Port 80 is used."


@pytest.mark.usefixtures("in_german")
def test_a_text_without_a_code_is_shown_as_received() -> None:
    for sentence in ("", "Driver failed: no such thing.", "Try {again}"):
        assert messages.said(Text(sentence)) == sentence


@pytest.mark.usefixtures("in_german")
def test_a_problem_is_shown_translated_and_copied_in_english(qapp: QApplication) -> None:
    problem = port_problem()
    card = ProblemCard(Theme(qapp), problem)
    shown = {one.text() for one in card.findChildren(QLabel)}
    assert {messages.summary(problem), messages.hint(problem)} <= shown
    button = next(one for one in card.findChildren(QPushButton) if one.text() == text.tr("Copy"))
    button.click()
    assert QApplication.clipboard().text() == f"{problem.summary}\n{problem.hint}"
