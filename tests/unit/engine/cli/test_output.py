"""Errors are printed as a sentence and a hint with an exit code, never as a traceback."""

import io
from pathlib import Path

import msgspec
import pytest

from engine.cli import Options
from engine.cli.output import guarded, problem_text, styled
from vm.errors import BootFailed, PortInUse, Problem, from_problem
from vm.messages import Message
from vm.messages.host import PORT_IN_USE

PROBLEM = Problem("BootFailed", "It does not boot.", "Try again.\nOr wait.", "line 1\nline 2")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(error: BaseException, log: Path, *, as_json: bool = False) -> int:
    def command() -> int:
        raise error

    options = Options()
    options.as_json = as_json
    return guarded(command, log=lambda: log, options=options)


def test_details_are_shown_only_on_request() -> None:
    short = problem_text(PROBLEM, details=False, stream=io.StringIO())
    assert short == "It does not boot.\n  Try again.\n  Or wait.\n  Add --details to see more."
    assert "line 2" in problem_text(PROBLEM, details=True, stream=io.StringIO())


def test_colour_only_on_a_terminal_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("x", "31", io.StringIO()) == "x"
    assert styled("x", "31", Terminal()) == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("x", "31", Terminal()) == "x"


def test_an_error_of_galley_is_printed_with_its_hint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert (
        run(BootFailed(Message("", "It does not boot.", "Try again.")), tmp_path / "cli.log") == 1
    )
    assert capsys.readouterr().err == "It does not boot.\n  Try again.\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PortInUse(PORT_IN_USE, address="::1", port=80, protocol="tcp", holder="a\x1b"), 4),
        (ZeroDivisionError("by zero"), 1),
    ],
)
def test_an_error_is_printed_as_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, error: Exception, code: int
) -> None:
    assert run(error, tmp_path / "cli.log", as_json=True) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    [line] = shown.err.splitlines()
    problem = msgspec.json.decode(line, type=Problem)
    if isinstance(error, PortInUse):
        assert problem == error.to_problem()
        assert problem.values["port"] == 80
    else:
        assert problem.code == "cli.mistake"
        assert problem.values["kind"] == "ZeroDivisionError"


NEWER = Problem(
    "NewKind", "It is {odd}.", "Ask {0}.", code="newer.code", values={"odd": 1, "size": 2.5}
)


def test_an_error_of_a_newer_supervisor_is_shown_as_received(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(from_problem(NEWER), tmp_path / "cli.log") == 1
    assert capsys.readouterr().err == "It is {odd}.\n  Ask {0}.\n"


def test_json_contains_the_code_and_values_of_a_newer_supervisor(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(from_problem(NEWER), tmp_path / "cli.log", as_json=True)
    sent = msgspec.json.decode(capsys.readouterr().err)
    assert (sent["code"], sent["values"]) == ("newer.code", {"odd": 1, "size": 2.5})
    assert sent["summary"] == "It is {odd}."


def test_ctrl_c_is_reported_as_cancelled(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(KeyboardInterrupt(), tmp_path / "cli.log") == 130
    assert capsys.readouterr().err == "Cancelled.\n"


def test_an_unexpected_exception_is_logged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "cli.log"
    assert run(ZeroDivisionError("by zero"), log) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in shown
    assert str(log) in shown
    assert "Traceback" not in shown
    assert "Traceback" in log.read_text()


def test_an_unexpected_exception_is_printed_if_it_cannot_be_logged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "logs").touch()
    assert run(ZeroDivisionError("by zero"), tmp_path / "logs" / "cli.log") == 1
    assert "Traceback" in capsys.readouterr().err
