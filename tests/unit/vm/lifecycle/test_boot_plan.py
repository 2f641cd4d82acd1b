"""The steps and boot options of a cold start; no machine boots."""

import threading
from pathlib import Path

import pytest

from tests.bare_backend import BareBackend
from vm import last_spec
from vm.capabilities import BootCheckpoints, Progress
from vm.directory import MachineDir
from vm.errors import Cancelled
from vm.lifecycle.boot_steps import BootPlan, BootStory, Deadlines
from vm.lifecycle.steps import Patience
from vm.messages import Text
from vm.types import BootOptions, MachineSpec

ONE, TWO = Text("One."), Text("Two.")
SPEC = MachineSpec(cpus=1, memory_bytes=1 << 30, disk_bytes=2 << 30, image="")


class Checkpoints(BootCheckpoints):
    """Records its calls in `calls`."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        self._calls.append("start from a checkpoint")

    def boot_files(self, directory: MachineDir) -> bytes | None:
        return None

    def forget(self, directory: MachineDir) -> None:
        self._calls.append("forget")


class Recorder(BareBackend):
    """Records its starts; no machine runs."""

    def __init__(self, *, checkpoints: bool) -> None:
        self.calls: list[str] = []
        self.options: list[BootOptions] = []
        if checkpoints:
            self.boot_checkpoints = Checkpoints(self.calls)

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        self.calls.append("start")
        self.options.append(options)


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    return MachineDir(tmp_path, tmp_path, tmp_path)


def start(
    directory: MachineDir, backend: Recorder, *, repair: bool = False, times: int = 1
) -> None:
    story = BootStory(directory, backend)
    plan = BootPlan(directory, backend, story, Deadlines(), lambda wait, note: SPEC, repair)
    for _ in range(times):
        for step in plan.cold(lambda progress: None):
            step.check(Patience(60.0, threading.Event()))


@pytest.mark.parametrize(
    ("checkpoints", "repair", "calls"),
    [
        (True, False, ["start from a checkpoint", "forget", "start"]),
        (True, True, ["forget", "start", "forget", "start"]),
        (False, False, ["start", "start"]),
        (False, True, ["start", "start"]),
    ],
)
def test_a_retry_and_a_repair_use_no_checkpoint(
    directory: MachineDir, checkpoints: bool, repair: bool, calls: list[str]
) -> None:
    backend = Recorder(checkpoints=checkpoints)
    start(directory, backend, repair=repair, times=2)
    assert backend.calls == calls


def test_boot_options_match_the_state_of_the_data_disk(directory: MachineDir) -> None:
    backend = Recorder(checkpoints=False)
    start(directory, backend)
    directory.data_is_new.unlink()
    start(directory, backend)
    last_spec.keep(directory, SPEC)
    start(directory, backend, repair=True)
    key = directory.public_key.read_text().split()[1]
    assert backend.options == [
        BootOptions(key, format_disk=True),
        BootOptions(key, grow_disk=True),
        BootOptions(key, repair_disk=True),
    ]


def test_only_a_new_data_disk_drops_the_pinned_host_key(directory: MachineDir) -> None:
    backend = Recorder(checkpoints=False)
    directory.known_host.write_text("of a machine that was deleted")
    start(directory, backend)
    assert not directory.known_host.exists()
    directory.data_is_new.unlink()
    directory.known_host.write_text("ours")
    start(directory, backend)
    assert directory.known_host.read_text() == "ours"


def test_repeated_progress_is_reported_once_and_a_cancel_ends_it(
    directory: MachineDir,
) -> None:
    reported: list[Text] = []
    cancel = threading.Event()

    class Reporting(Recorder):
        def start(
            self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
        ) -> None:
            for each in (ONE, ONE, TWO, ONE):
                progress(each)
            cancel.set()
            progress(Text("Three."))

    backend = Reporting(checkpoints=False)
    story = BootStory(directory, backend)
    plan = BootPlan(directory, backend, story, Deadlines(), lambda wait, note: SPEC, repair=False)
    *earlier, last = plan.cold(reported.append)
    for step in earlier:
        step.check(Patience(60.0, cancel))
    with pytest.raises(Cancelled):
        last.check(Patience(60.0, cancel))
    assert reported == [ONE, TWO, ONE]
