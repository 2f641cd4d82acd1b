"""`galley logs`: the last lines, following, and a reader that closes the pipe early."""

import json
import os
import signal
import subprocess

import pytest
from click.testing import CliRunner

from engine.cli.logs import logs
from engine.cli.output import Printable, note, say
from tests.unit.engine.cli.conftest import ROOT, Galley, command
from vm.host.paths import Home


def test_the_last_lines(galley: Galley, home: Home) -> None:
    (home.logs / "console.log").write_text("one\ntwo\r\nthree")
    assert galley("logs", "--component", "vm", "-n", "2").stdout == "two\nthree\n"
    assert galley("logs", "--component", "vm", "-n", "0").stdout == ""


# Sets the clipboard, title and a colour, and reverses text; C1 is CSI in one character.
HOSTILE = "\x1b]52;c;aGk=\x07\x1b]0;t\x1b\\\x1b[31mred\x9b2J\u202etxt\x7f\ttab \u00e4\u2713"
SHOWN = (
    "\\u001b]52;c;aGk=\\u0007\\u001b]0;t\\u001b\\\\u001b[31mred\\u009b2J\\u202etxt\\u007f\ttab "
    "\u00e4\u2713"
)


def test_control_characters_are_escaped(galley: Galley, home: Home) -> None:
    (home.logs / "console.log").write_text(f"one {HOSTILE}\r\n")
    assert galley("logs", "--component", "vm").stdout == f"one {SHOWN}\n"
    stdout = galley("logs", "--component", "vm", "--json").stdout
    assert json.loads(stdout)["line"] == f"one {HOSTILE}"
    assert not set(stdout) & set("\x1b\x07\x9b\x7f\u202e")


@pytest.mark.parametrize("cut", range(len(HOSTILE.encode())))
def test_control_characters_are_escaped_however_a_stream_is_split(cut: int) -> None:
    data, show = HOSTILE.encode(), Printable()
    assert (show(data[:cut]) + show(data[cut:])).decode() == SHOWN


def test_control_characters_of_the_engine_s_log_are_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, object] = {}

    def run_in_guest(argv: tuple[str, ...], **more: object) -> int:
        given.update(more)
        return 0

    monkeypatch.setattr("engine.cli.reach.run_in_guest", run_in_guest)
    assert CliRunner().invoke(logs, ["--component", "engine", "-f"]).exit_code == 0
    assert given == {"feed": False, "shown": Printable}


def test_output_of_the_command_line_may_contain_only_colours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say(f"\x1b[31mred\x1b[0m {HOSTILE}\nsecond")
    note(HOSTILE)
    stdout, stderr = capsys.readouterr()
    coloured = SHOWN.replace("\\u001b[31m", "\x1b[31m")
    assert stdout == f"\x1b[31mred\x1b[0m {coloured}\nsecond\n"
    assert stderr == f"{coloured}\n"


def test_json_is_one_object_per_line(galley: Galley, home: Home) -> None:
    (home.logs / "supervisor.log").write_text("one\n")
    done = galley("logs", "--json")
    assert json.loads(done.stdout) == {"component": "supervisor", "line": "one"}


def test_a_missing_log_is_reported(galley: Galley) -> None:
    done = galley("logs")
    assert done.returncode == 0
    assert "does not exist yet" in done.stderr


def test_the_engine_s_log_requires_a_machine(galley: Galley) -> None:
    assert galley("logs", "--component", "engine").returncode == 3


def test_following_survives_rotation_and_half_lines(home: Home) -> None:
    log = home.logs / "supervisor.log"
    log.write_text("old\n")
    with following() as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "old\n"
        with log.open("a") as file:
            file.write("ha")
            file.flush()
            file.write("lf\n")
        assert child.stdout.readline() == "half\n"
        os.rename(log, home.logs / "supervisor.1.log")
        log.write_text("new\n")
        assert child.stdout.readline() == "new\n"
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        assert child.stderr.read() == ""
    assert child.returncode == 130


def following() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command("logs", "-f"), cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def test_a_closed_pipe_is_no_error(home: Home) -> None:
    (home.logs / "supervisor.log").write_text("a line of text\n" * 100_000)
    pipe, words = subprocess.PIPE, command("logs", "-n", "100000")
    with subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr is not None
        assert child.stderr.read() == b""
    assert child.returncode == 141
