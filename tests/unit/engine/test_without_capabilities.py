"""A backend without a capability: the engine reports an error or omits the feature."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from engine.diagnose.facts import Facts
from engine.diagnose.machine import STARTS
from engine.lifecycle.saver_rules import SaverRules, rules_of
from engine.lifecycle.snapshots import Snapshots
from engine.monitors.host_disk_space import HostDiskSpace
from engine.ports.host_forwarder import HostForwarder
from engine.ports.wake_on_traffic import PortWaker
from engine.settings.store import SettingsStore
from engine.shares.inode_pressure import InodePressure
from engine.shares.shared_folders import SharedFolders
from tests.bare_backend import BareBackend
from tests.unit.engine.sleepy import Sleepy
from vm.backends.fake import FakeBackend
from vm.directory import MachineDir
from vm.errors import BackendFailed, SnapshotRefused
from vm.host.paths import Home
from vm.types import Forward, MachineState


@pytest.fixture
def directory(home: Home) -> MachineDir:
    return MachineDir.of(home)


def test_a_port_cannot_be_published(directory: MachineDir) -> None:
    ports = HostForwarder(BareBackend(), directory)
    forward = Forward("127.0.0.1", 8080, 80)
    with pytest.raises(BackendFailed, match="cannot be published"):
        ports.forward(forward)
    ports.unforward(forward)
    assert ports.forwarded() == frozenset()


def test_no_folder_is_shared_and_a_problem_is_reported(home: Home, tmp_path: Path) -> None:
    settings = SettingsStore(home)
    settings.set("shares", str(tmp_path))
    folders = SharedFolders(home, settings, BareBackend(), lambda: None)
    assert folders.wanted() == ()
    assert [problem.summary for problem in folders.problems] == [
        "Folders of this computer cannot be shared with the machine."
    ]
    folders.look([])
    assert len(folders.problems) == 1


def test_no_monitor_starts_a_thread(directory: MachineDir) -> None:
    before = threading.active_count()
    HostDiskSpace(directory, BareBackend(), lambda: None).follow(True)
    InodePressure(directory, BareBackend()).begin(cast(Any, None), lambda number: None)
    port_waker = PortWaker(directory, None, lambda: None, lambda: None)
    port_waker.follow(MachineState.PAUSED, ())
    port_waker.close()
    assert threading.active_count() == before


def test_a_snapshot_cannot_be_created(directory: MachineDir) -> None:
    class Machine:
        backend = BareBackend()

    machine, none = cast(Any, Machine()), cast(Any, None)
    machine.directory = directory
    snapshots = Snapshots(machine, none, none, lambda: None)
    snapshots.open(lambda: None)
    with pytest.raises(SnapshotRefused, match="cannot be made"):
        snapshots.create("one")


def test_the_resource_saver_uses_only_what_the_backend_can_do(home: Home) -> None:
    settings = SettingsStore(home)
    settings.set("save_after", "60")  # minutes
    settings.set("suspend_after", "600")
    assert rules_of(settings, BareBackend()) == SaverRules()
    paused = rules_of(settings, FakeBackend())
    assert (paused.pause_after, paused.suspend_after) == (3600.0, 0)
    assert rules_of(settings, Sleepy()).suspend_after == 36000.0


def test_the_check_for_slow_starts_is_skipped(home: Home) -> None:
    assert not STARTS.applies(Facts(home, backend=BareBackend()))
