"""A start as a file for Perfetto: steps, log and the guest's console on one clock."""

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.lifecycle.start_trace import Recorder, traced
from engine.types import EngineHealth, EngineStatus
from tests.unit.engine.control.scripted import ScriptedEngine
from vm.errors import BootFailed
from vm.messages import Message
from vm.types import BootStep, MachineState, Status

type Row = dict[str, Any]


def engine_status(*boot: BootStep, reachable: bool = False) -> EngineStatus:
    status = Status(MachineState.STARTING, "fake", boot=boot)
    return EngineStatus("0", "unix:///none", status, EngineHealth(reachable))


def rows(recorder: Recorder) -> list[Row]:
    recorder.end()
    found: list[Row] = json.loads(msgspec.json.encode(recorder.trace()))["traceEvents"]
    return found


def processes(events: list[Row]) -> dict[str, int]:
    return {row["args"]["name"]: row["pid"] for row in events if row["name"] == "process_name"}


def spans(events: list[Row], pid: int) -> list[tuple[str, float, float]]:
    """Name, beginning and end in seconds."""
    return [
        (row["name"], round(row["ts"] / 1e6, 6), round((row["ts"] + row.get("dur", 0)) / 1e6, 6))
        for row in events
        if row["pid"] == pid and row["ph"] == "X"
    ]


def write_lines(console: Path, *lines: str) -> None:
    with console.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def console(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


def test_steps_and_their_notes_have_times(console: Path) -> None:
    recorder = Recorder(console)
    recorder.begin()
    recorder.see(engine_status())
    recorder.see(engine_status(BootStep("Starting qemu")))
    recorder.see(engine_status(BootStep("Trying kvm …")))
    recorder.see(engine_status(BootStep("Starting qemu", 0.5)))
    recorder.see(engine_status(BootStep("Starting qemu", 0.5), BootStep("Booting Linux")))
    recorder.see(engine_status(BootStep("Starting qemu", 0.5), BootStep("Booting Linux", 1.0)))
    events = rows(recorder)
    host = processes(events)["this computer"]
    names = [name for name, _, _ in spans(events, host)]
    assert names == ["Starting qemu", "Trying kvm …", "Booting Linux"]
    times = [time for _, begin, end in spans(events, host) for time in (begin, end)]
    assert times == sorted(times)


def test_a_failed_step_ends_with_the_trace(console: Path) -> None:
    recorder = Recorder(console)
    recorder.begin()
    recorder.see(engine_status(BootStep("Booting Linux")))
    threading.Event().wait(0.05)
    events = rows(recorder)
    [(_, begin, end)] = spans(events, processes(events)["this computer"])
    assert end - begin >= 0.05


def test_guest_times_are_aligned_by_the_line_with_the_least_delay(console: Path) -> None:
    """The guest booted 10 s before the line; a delayed line does not change that in the trace."""
    write_lines(console, "[99.00] galley: kernel", "[99.50] galley: engine")  # of an earlier start
    recorder = Recorder(console)
    recorder.begin()
    write_lines(
        console, "loading", "[10.00] galley: kernel", "[9.00] galley: disk ok", "[11.50] half"
    )
    seen = threading.Event()
    while len(recorder._lines) < 2:
        seen.wait(0.01)
    events = rows(recorder)
    [(_, zero, kernel), (name, _, disk)] = spans(events, processes(events)["guest"])
    assert name == "disk ok"
    assert kernel == pytest.approx(recorder._lines[0].seen, abs=0.01)
    assert kernel - zero == pytest.approx(10.0, abs=0.001)
    assert kernel - disk == pytest.approx(1.0, abs=0.001)


def test_a_second_boot_attempt_is_another_guest(console: Path) -> None:
    recorder = Recorder(console)
    recorder.begin()
    write_lines(console, "[0.50] galley: kernel")
    seen = threading.Event()
    while len(recorder._lines) < 1:
        seen.wait(0.01)
    os.replace(console, console.with_name("console.1.log"))
    write_lines(console, "[0.40] galley: kernel", "[0.90] galley: disk ok")
    while len(recorder._lines) < 3:
        seen.wait(0.01)
    events = rows(recorder)
    guests = processes(events)
    assert [name for name, _, _ in spans(events, guests["guest"])] == ["kernel"]
    assert [name for name, _, _ in spans(events, guests["guest, try 2"])] == ["kernel", "disk ok"]


def test_a_guest_from_a_boot_checkpoint_omits_the_lines_before_it(console: Path) -> None:
    recorder = Recorder(console)
    recorder.begin()
    before = ["[30.50] galley: kernel", "[33.00] galley: template"]
    write_lines(console, *before, "[33.25] galley: handed over", "[33.50] galley: disk ok")
    seen = threading.Event()
    while len(recorder._lines) < 4:
        seen.wait(0.01)
    events = rows(recorder)
    (first, began, over), (second, _, _) = spans(events, processes(events)["guest"])
    assert (first, second) == ("handed over", "disk ok")
    assert over - began == pytest.approx(0.25, abs=0.001)


def test_the_start_that_makes_a_boot_checkpoint_has_all_lines(console: Path) -> None:
    recorder = Recorder(console)
    recorder.begin()
    write_lines(
        console, "[0.00] galley: kernel", "[0.00] galley: template", "[0.00] galley: handed over"
    )
    events = rows(recorder)
    found = spans(events, processes(events)["guest"])
    assert [name for name, _, _ in found] == ["kernel", "template", "handed over"]


def test_a_guest_without_uptimes_is_placed_by_the_hosts_clock(console: Path) -> None:
    recorder = Recorder(console)
    recorder.begin()
    write_lines(console, "galley: kernel", "galley: disk ok")
    events = rows(recorder)
    found = spans(events, processes(events)["guest"])
    assert [end for _, _, end in found] == pytest.approx(
        [one.seen for one in recorder._lines], abs=1e-6
    )


def test_the_file_is_also_written_when_the_start_fails(tmp_path: Path) -> None:
    engine, file = ScriptedEngine(), tmp_path / "trace.json"

    def start() -> None:
        engine.change(MachineState.STARTING)
        logging.getLogger("vm.lifecycle.machine").warning("boot attempt %d failed", 1)
        raise BootFailed(Message("", "It took too long."))

    with pytest.raises(BootFailed), traced(engine, tmp_path / "console.log", file):
        start()
    logging.getLogger("vm.lifecycle.machine").warning("later")
    events = json.loads(file.read_bytes())["traceEvents"]
    logged = [row["name"] for row in events if row["ph"] == "i"]
    assert logged == ["vm.lifecycle.machine: boot attempt 1 failed"]
    assert engine.listeners == []


def test_every_event_has_the_fields_of_the_format(console: Path) -> None:
    recorder = Recorder(console)
    recorder.begin()
    recorder.see(engine_status(BootStep("Booting Linux"), reachable=True))
    write_lines(console, "[0.10] galley: kernel")
    found = rows(recorder)
    host = processes(found)["this computer"]
    required = {"M": {"args"}, "X": {"ts", "dur"}, "i": {"ts", "s"}}
    for row in found:
        assert {"name", "ph", "pid", "tid", *required[row["ph"]]} <= set(row)
        assert row["ph"] == "M" or row["pid"] != host or row["ts"] > 0
    kinds = {(row["ph"], row["pid"] == host) for row in found}
    assert kinds == {("M", True), ("M", False), ("X", True), ("X", False), ("i", True)}
