"""A machine to try a backend on, in a home of the test's own."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.contract.power import Disk
from vm.backend import Backend, Force, choose
from vm.boot import Patience
from vm.boot_steps import Deadlines
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.host import net
from vm.host.paths import find_home, make_home
from vm.machine import Machine
from vm.types import MachineSpec, MachineState, Status

PATIENCE = 120.0  # seconds; only ever reached by a test that fails


class Bench:
    """One backend, one directory, and the machine that is open on it."""

    def __init__(self, backend: Backend, directory: MachineDir, image: str) -> None:
        self.backend = backend
        self.directory = directory
        self.machine: Machine
        self.last_pid = 0
        self.seen: list[Status] = []
        self.at_change: Callable[[Status], None] = lambda status: None
        self.image = image
        self._changed = threading.Condition()

    def open(self, **deadlines: float) -> Machine:
        self.machine = Machine(
            self.directory, self.backend, self._note, deadlines=Deadlines(**deadlines)
        )
        self.machine.open()
        return self.machine

    def state(self) -> MachineState:
        return self.machine.status.state

    def spec(self) -> MachineSpec:
        gib = 1024**3
        return MachineSpec(cpus=2, memory_bytes=gib, disk_bytes=8 * gib, image=self.image)

    def prepare(self, wait: Patience, note: Callable[[str], None]) -> MachineSpec:
        return self.spec()

    def start(self) -> None:
        self.machine.start(self.prepare)

    def start_expecting(self, kind: type[GalleyError]) -> None:
        with pytest.raises(kind):
            self.start()

    def stop(self) -> None:
        self.last_pid = self.pid() or 0
        self.machine.stop()

    def pid(self) -> int | None:
        return self.backend.observe(self.directory).pid

    def free_port(self) -> int:
        return net.free_port()

    def script(self, **changes: object) -> None:
        """What goes wrong with the fake machine."""
        (self.directory.root / "fake.json").write_bytes(msgspec.json.encode(changes))

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Until a change of status makes it hold; looks at the world now and then, too."""
        with self._changed:
            for _ in range(int(PATIENCE / 0.05)):
                if holds():
                    return
                self._changed.wait(0.05)
        raise AssertionError("it never came about")

    def clean_up(self) -> None:
        self.machine.close()
        if self.backend.observe(self.directory).state is not MachineState.STOPPED:
            self.backend.stop(self.directory, Force.KILL)
            assert self.backend.wait_stopped(self.directory, 10)

    def _note(self, status: Status) -> None:
        self.at_change(status)
        with self._changed:
            self.seen.append(status)
            self._changed.notify_all()


@pytest.fixture
def make_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Bench]:
    """`make_bench("fake")`; with "qemu" the image that `./dev` built is used."""

    def make(name: str) -> Bench:
        image = str(guest_image()) if name == "qemu" else "none"
        monkeypatch.setenv("GALLEY_HOME", str(tmp_path / "home"))
        return Bench(choose(name), MachineDir.of(make_home(find_home())), image)

    return make


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk", tmp_path / "home")
    yield made
    made.unmount()


@pytest.fixture
def bench(make_bench: Callable[[str], Bench]) -> Iterator[Bench]:
    """A QEMU; who tries other backends has a fixture of their own."""
    bench = make_bench("qemu")
    yield bench
    bench.clean_up()


@pytest.fixture
def powered(disk: Disk, bench: Bench) -> Bench:
    """With its home on `disk`, which is there first."""
    return bench


def guest_image() -> Path:
    """The image that `./dev test` has built, or builds now."""
    from engine.guest.build import build

    images = Path(os.environ.get("GALLEY_TEST_IMAGES") or find_home().images)
    return build(images, progress=print)
