"""`galley logs`: the last lines, what is added, and a reader that leaves early."""

import json
import os
import signal
import subprocess

from tests.unit.engine.cli.conftest import ROOT, Galley, command
from vm.host.paths import Home


def test_the_last_lines(galley: Galley, home: Home) -> None:
    (home.logs / "console.log").write_text("one\ntwo\r\nthree")
    assert galley("logs", "--component", "vm", "-n", "2").stdout == "two\nthree\n"
    assert galley("logs", "--component", "vm", "-n", "0").stdout == ""


def test_json_is_one_value_a_line(galley: Galley, home: Home) -> None:
    (home.logs / "supervisor.log").write_text("one\n")
    done = galley("logs", "--json")
    assert json.loads(done.stdout) == {"component": "supervisor", "line": "one"}


def test_nothing_yet(galley: Galley) -> None:
    done = galley("logs")
    assert done.returncode == 0
    assert "does not exist yet" in done.stderr


def test_the_engine_s_needs_a_machine(galley: Galley) -> None:
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


def test_a_reader_that_leaves_is_no_error(home: Home) -> None:
    (home.logs / "supervisor.log").write_text("a line of text\n" * 100_000)
    pipe, words = subprocess.PIPE, command("logs", "-n", "100000")
    with subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr is not None
        assert child.stderr.read() == b""
    assert child.returncode == 141
